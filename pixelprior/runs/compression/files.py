"""Files of compression and decompression: checked before the work, which takes long."""

import contextlib
from pathlib import Path

from pixelprior.errors import InputError
from pixelprior.figures.outputs import refused_in_words
from pixelprior.system.atomic import probe_folder
from pixelprior.system.leftovers import remove_leftovers_of


def check_new_file(path: Path, overwrite: bool) -> None:
    """Check that a new file can be written, and remove what killed processes left of it.

    Raises:
        InputError: if it exists and must not be replaced, or its folder takes no files.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file with --out")
    if path.exists() and not overwrite:
        raise InputError(f"{path} already exists; pass --overwrite, or another --out")
    with written_in_words(path):
        probe_folder(path.parent)
        remove_leftovers_of(path)


def written_in_words(path: Path) -> contextlib.AbstractContextManager[None]:
    """Turn an OSError of writing into an InputError. Nothing is kept of an unfinished file."""
    return refused_in_words(path, "make room or the folder, or pass another --out")

"""Places of trained runs: a folder, an exported file, a bundled model, or the Hugging Face Hub."""

import difflib
from pathlib import Path
from typing import NamedTuple

from pixelprior.errors import InputError
from pixelprior.runs.bundled import bundled_models
from pixelprior.runs.hub import START, download
from pixelprior.runs.one_file.layout import FILE_NAME, SUFFIX
from pixelprior.system.home import expand_home
from pixelprior.system.paths import checked_path


class SourceFile(NamedTuple):
    """An exported file.

    Attributes:
        path: the file.
        name: the name by which the user knows it.
        bundled: the name of the bundled model; None for another file.
    """

    path: Path
    name: str
    bundled: str | None = None


def find_file(name: str | Path) -> SourceFile | None:
    """Find the exported file of a name. An existing file or folder wins over a bundled model.

    A folder without a run that holds ``model.safetensors`` counts as this file.

    Returns:
        The file; None if the name is that of a run folder, or of nothing.

    Raises:
        InputError: if a file cannot be downloaded, or a folder hides a bundled model.
    """
    if not isinstance(name, str | Path) or not str(name):
        return None
    text = expand_home(str(name))
    checked_path(text, "the run")
    if text.startswith(START):
        return SourceFile(download(text), text)
    path, bundled = Path(text), bundled_models()
    if path.is_dir():
        if (path / "config.json").exists():
            return None
        if (path / FILE_NAME).is_file():
            return SourceFile(path / FILE_NAME, str(path / FILE_NAME))
        if text in bundled:
            raise InputError(
                f"the folder {text} is no run, and hides the bundled model of that name; rename "
                "it, or use another working folder"
            )
        return None
    for model, file in bundled.items():
        if path == file or (text == model and not path.exists()):
            return SourceFile(file, model, model)
    if path.exists():
        return SourceFile(path, text)
    near = difflib.get_close_matches(text, bundled, n=1)
    # A path is not a name.
    if near and text == path.name:
        raise InputError(
            f"there is no run folder {text}; did you mean the bundled model {near[0]}?"
        )
    if path.suffix == SUFFIX:
        raise InputError(f"there is no file {text}; `pixelprior export` writes one")
    return None

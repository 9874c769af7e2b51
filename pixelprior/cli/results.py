"""Files of results. They are checked before the measurements, which take long."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixelprior.errors import InputError
from pixelprior.system.atomic import probe_folder, write_atomically
from pixelprior.system.console import say


def check_writable(file: str | Path | None) -> None:
    """Raise an InputError if a file of results cannot be written; None means no file."""
    if file is None:
        return
    file = Path(file)
    try:
        probe_folder(file.parent)
    except OSError as error:
        raise InputError(
            f"{file} cannot be written ({error.strerror}); make its folder, or give another file"
        ) from error
    if file.is_dir():
        raise InputError(f"{file} is a folder; give the name of a file")


def make_folder(folder: Path, path: str | Path, remedy: str) -> None:
    """Create a folder for results before they are measured.

    Args:
        folder: the folder; missing parent folders are created too.
        path: the path that the user gave, for the error message.
        remedy: the end of the error message.

    Raises:
        InputError: if nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe_folder(folder)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); {remedy}") from error


def write_json(file: str | Path | None, result: Mapping[str, Any]) -> None:
    """Write results as JSON; None means no file."""
    if file is not None:
        write_atomically(Path(file), json.dumps(result, indent=2) + "\n")
        say(f"results in {file}")

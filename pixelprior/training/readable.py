"""Check that the files of checkpoints can be read at all, before damage is suspected."""

import os
from pathlib import Path

from pixelprior.errors import InputError
from pixelprior.system.json_file import no_permission

_EFFECTIVE = os.access in os.supports_effective_ids


def check_readable(folder: Path) -> None:
    """Raise an InputError if a path is not supported, or this user must not read a file there.

    Orbax reports both in many lines, as it reports damage. Files that vanish meanwhile do not
    count, because a running training replaces its checkpoints.
    """
    name = str(folder.absolute())
    if (os.sep != "\\" and "\\" in name) or _has_bytes(name):
        raise InputError(
            f"checkpoints need a path of UTF-8 without backslashes, got {name!r}; rename the folder"
        )

    def fail(error: OSError) -> None:
        if isinstance(error, PermissionError):
            raise _error(folder, Path(error.filename))

    for place, folders, files in os.walk(folder, onerror=fail):
        for name in (*folders, *files):
            path = Path(place, name)
            may = os.access(path, os.R_OK, effective_ids=_EFFECTIVE)
            if not may and os.path.lexists(path):
                raise _error(folder, path)


def _error(folder: Path, path: Path) -> InputError:
    return InputError(f"the checkpoints in {folder} stay as they are: {no_permission(path)}")


def _has_bytes(name: str) -> bool:
    """True if a name has bytes that are no UTF-8."""
    return any("\ud800" <= character <= "\udfff" for character in name)

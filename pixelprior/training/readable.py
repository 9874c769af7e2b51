"""Check that the files of checkpoints may be read, before damage is suspected."""

import os
from pathlib import Path

from pixelprior.errors import InputError
from pixelprior.system.json_file import no_permission

_EFFECTIVE = os.access in os.supports_effective_ids


def check_permissions(folder: Path) -> None:
    """Raise an InputError if this user must not read a file or a folder in a folder.

    Orbax reports it in many lines, as it reports damage. Files that vanish meanwhile do not count,
    because a running training replaces its checkpoints.
    """

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

"""Reading of JSON files that a person or another program may have changed."""

import json
import os
import stat
from pathlib import Path
from typing import Any

from pixelprior.errors import InputError

RESTORE = "restore it from a copy"


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it cannot be read, is no JSON, or has a number that is not finite.
    """
    raw = read_bytes(path)
    try:
        return json.loads(raw.decode(), parse_constant=_refuse)
    # ValueError: no UTF-8, no JSON, or an integer of thousands of digits.
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); {RESTORE}") from error


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no regular file, or cannot be read.
    """
    try:
        # A named pipe would block.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise InputError(f"{path} is a folder or a device instead of a file; {RESTORE}")
        return path.read_bytes()
    except NotADirectoryError as error:
        raise FileNotFoundError(*error.args) from error
    except PermissionError as error:
        raise no_permission(path) from error
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); {RESTORE}") from error


def no_permission(path: Path) -> InputError:
    """Error for a file that belongs to somebody else."""
    return InputError(
        f"{path} cannot be read: permission denied; ask its owner, or change the permissions with "
        "chmod"
    )


def _refuse(constant: str) -> Any:
    raise ValueError(f"it has the number {constant}")

"""Checks of paths that no file system takes."""

import os
from pathlib import Path
from typing import Any

from pixelprior.errors import InputError

_PART, _WHOLE = 255, 4095  # bytes that Linux allows in a name, and in a path


def checked_path(path: Any, what: str) -> Path:
    """Return a path of the user.

    Args:
        path: a string or a path.
        what: the name of the path in messages, like "workdir".

    Raises:
        InputError: if it is neither, is empty, holds NUL, or is too long.
    """
    if not isinstance(path, str | Path) or not str(path):
        raise InputError(f"{what} must be a path, got {path!r:.80}")
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError:
        raise InputError(f"{what} must be a path of valid characters, got {path!r:.80}") from None
    if b"\0" in encoded:
        raise InputError(f"{what} must be a path without NUL characters, got {str(path)!r:.80}")
    if len(encoded) > _WHOLE or any(len(part) > _PART for part in encoded.split(os.sep.encode())):
        raise InputError(
            f"{what} must have at most {_PART} bytes in a name and {_WHOLE} in all, got "
            f"{str(path)[:40]}... of {len(encoded):,} bytes"
        )
    return Path(path)

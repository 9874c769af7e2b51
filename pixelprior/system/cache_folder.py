"""Folder for files that the library can make again."""

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """``pixelprior/NAME`` in the cache folder of the user: ``XDG_CACHE_HOME`` or ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pixelprior" / name

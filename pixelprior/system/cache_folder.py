"""Where this library keeps, for a user, what can be made again."""

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """``pixelprior/NAME`` in the user's folder for caches: ``XDG_CACHE_HOME`` or ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pixelprior" / name

"""Importing a library without another one that it would use."""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def hidden(module: str) -> Iterator[None]:
    """Hide a module during the body: its import fails there, as if it were not installed.

    A module that is imported already stays visible. Other threads do not find it either meanwhile.

    Example:
        >>> with hidden("torch"):
        ...     import tensorboardX
    """
    if module in sys.modules:
        yield
        return
    # Python's own mark of a module that cannot be imported.
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]

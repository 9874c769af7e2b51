"""Silence for the libraries that write checkpoints. Their errors are raised and reported too."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import Any

_LOGGERS = ("absl", "asyncio")


@contextlib.contextmanager
def quiet_writers() -> Iterator[None]:
    """Keep Orbax and TensorStore from printing for the duration of the body.

    Orbax logs every operation. After a failed write, every pending part prints a traceback from its
    own thread, and the cause is lost among hundreds of lines.
    """
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    hook = sys.unraisablehook

    def report(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            hook(unraisable)

    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    sys.unraisablehook = report
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)

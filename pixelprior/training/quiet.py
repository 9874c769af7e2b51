"""Silence for the libraries that write checkpoints. Their errors are raised and reported too."""

import contextlib
import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any

_LOGGERS = ("absl", "asyncio")


# Every error of TensorStore is a ValueError that begins with the name of a status. Those of its
# threads have no traceback.
_STATUS = re.compile(
    "(CANCELLED|UNKNOWN|INVALID_ARGUMENT|DEADLINE_EXCEEDED|NOT_FOUND|ALREADY_EXISTS|"
    "PERMISSION_DENIED|RESOURCE_EXHAUSTED|FAILED_PRECONDITION|ABORTED|OUT_OF_RANGE|UNIMPLEMENTED|"
    "INTERNAL|UNAVAILABLE|DATA_LOSS|UNAUTHENTICATED): "
)


def _is_of_another(record: logging.LogRecord) -> bool:
    """Return False for a report of asyncio about an error inside Orbax or TensorStore."""
    _, error, trace = record.exc_info or (None, None, None)
    if type(error) is ValueError and trace is None and _STATUS.match(str(error)):
        return False
    modules = (str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(trace))
    return not any(module.partition(".")[0] == "orbax" for module in modules)


_lock = threading.Lock()
_users: list[object] = []
_silence = contextlib.ExitStack()


@contextlib.contextmanager
def quiet_writers() -> Iterator[None]:
    """Keep Orbax and TensorStore from printing for the duration of the body.

    Orbax logs every operation. After a failed write, every pending part prints a traceback from its
    own thread, and the cause is lost among hundreds of lines. Bodies in several threads may
    overlap. The silence ends with the last one. Only one thing stays silent for good: asyncio
    reports the errors of Orbax and TensorStore whenever Python collects them, which may be at the
    end of the process.
    """
    logging.getLogger("asyncio").addFilter(_is_of_another)
    with _lock:
        if not _users:
            _silence.enter_context(_silenced())
        _users.append(object())
    try:
        yield
    finally:
        with _lock:
            _users.pop()
            if not _users:
                _silence.close()


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
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

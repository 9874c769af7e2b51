"""End of a command whose output is no longer read, as in ``pixelprior configs | head``."""

import contextlib
import os
import select
import signal
import sys
from collections.abc import Iterator
from typing import TextIO

STATUS = 128 + signal.SIGPIPE
"""The status by which shells report a process that wrote into a closed pipe."""


@contextlib.contextmanager
def ending_with_reader() -> Iterator[None]:
    """Exit without a message if the body prints, and the reader of the output has ended."""
    try:
        yield
    except BrokenPipeError:
        unread = [stream for stream in (sys.stdout, sys.stderr) if _has_no_reader(stream)]
        # Another pipe or connection of the process may have broken.
        if not unread:
            raise
        for stream in unread:
            # Python flushes both streams when it exits, and would report the error again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        sys.exit(STATUS)


def _has_no_reader(stream: TextIO) -> bool:
    """Return True if the stream is a pipe whose other end is closed."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)  # errors are always reported
    # A notebook has streams without a file.
    except (OSError, ValueError):
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))

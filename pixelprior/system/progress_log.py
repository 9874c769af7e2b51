"""Progress of a job in a log: few lines, each of them whole."""

import time
from collections.abc import Callable
from datetime import timedelta

from pixelprior.progress import Advance

SECONDS = 60.0
"""Shortest time between two lines. A shorter job has no line."""


class ProgressLog:
    """Lines about one job.

    Args:
        first: the first event of the job, which has no line.
        clock: a function that returns the time in seconds.
    """

    def __init__(self, first: Advance, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first, self._untold = first.done, first
        self._begun = self._told = clock()

    def line(self, event: Advance) -> str | None:
        """Return a line for an event, or None if the last line is recent."""
        self._untold = event
        return self._tell() if self._clock() - self._told >= SECONDS else None

    def last_line(self) -> str | None:
        """Return a line for the end of the job, or None if it was short."""
        return self._tell() if self._clock() - self._begun >= SECONDS else None

    def _tell(self) -> str:
        event, self._told = self._untold, self._clock()
        elapsed = self._told - self._begun
        words = [f"{event.done:,} of {event.total:,} {event.unit}s", f"{_clock(elapsed)} elapsed"]
        if self._first < event.done < event.total:
            left = elapsed * (event.total - event.done) / (event.done - self._first)
            words.append(f"{_clock(left)} left")
        return f"{event.job}: {', '.join([*words, *filter(None, [event.note])])}"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))

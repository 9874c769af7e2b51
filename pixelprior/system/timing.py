"""The time that a function takes, with the devices' work in it."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax


class Timing(NamedTuple):
    """Calls of one function, timed.

    Attributes:
        result: the result of the last call.
        first: the seconds of the first call, compiling included.
        seconds: the seconds of each call after it.
    """

    result: Any
    first: float
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median seconds of a call after the first."""
        return statistics.median(self.seconds)


def time_calls(function: Callable[[], Any], repetitions: int) -> Timing:
    """Time a first call of a function, and so many after it."""
    result, first = timed(function)
    seconds = []
    for _ in range(repetitions):
        result, taken = timed(function)
        seconds.append(taken)
    return Timing(result, first, tuple(seconds))


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """Call a function and return its result, once it is there, and the seconds that took."""
    start = time.perf_counter()
    result = jax.block_until_ready(function())
    return result, time.perf_counter() - start

"""Timing of functions, including the work on devices."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax


class Timing(NamedTuple):
    """Timed calls of one function.

    Attributes:
        result: the result of the last call.
        first: the seconds of the first call, including compilation.
        seconds: the seconds of each later call.
    """

    result: Any
    first: float
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median seconds of a call after the first."""
        return statistics.median(self.seconds)


def time_calls(function: Callable[[], Any], repetitions: int) -> Timing:
    """Time a first call of a function, and ``repetitions`` calls after it."""
    result, first = timed(function)
    seconds = []
    for _ in range(repetitions):
        result, taken = timed(function)
        seconds.append(taken)
    return Timing(result, first, tuple(seconds))


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """Call a function; return its finished result and the seconds of the call."""
    start = time.perf_counter()
    result = jax.block_until_ready(function())
    return result, time.perf_counter() - start

"""What JAX compiles, and what of it stays in memory."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import jax

COMPILED = "/jax/core/compile/backend_compile_duration"
_counted: list[list[float]] = []


def _count(event: str, seconds: float, **_: str) -> None:
    if event == COMPILED:
        for durations in _counted:
            durations.append(seconds)


# Once: JAX has no public way to take a listener away.
jax.monitoring.register_event_duration_secs_listener(_count)


@contextlib.contextmanager
def compilations() -> Iterator[list[float]]:
    """The seconds of each compilation inside."""
    durations: list[float] = []
    _counted.append(durations)
    try:
        yield durations
    finally:
        _counted.remove(durations)


def mappings() -> int:
    """How many memory mappings this process has: each program compiled for a CPU takes some."""
    return len(Path("/proc/self/maps").read_text().splitlines())

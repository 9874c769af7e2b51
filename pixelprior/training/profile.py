"""A profile of some steps of a run, to be looked at."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import jax

from pixelprior.errors import InputError
from pixelprior.progress import Caution, Message, Report


class Steps(NamedTuple):
    """Steps ``first`` to ``last``, counted from 1, both included."""

    first: int
    last: int


def parse_steps(text: str) -> Steps:
    """Reads ``START:STOP``: the steps after step START, up to step STOP.

    Raises:
        InputError: if it is nothing of the kind, or there are no such steps.
    """
    match = re.fullmatch(r"(\d+):(\d+)", text)
    if match is None or int(match[1]) >= int(match[2]):
        raise InputError(
            f"expected START:STOP, two numbers of steps with START before STOP, got {text!r}"
        )
    return Steps(int(match[1]) + 1, int(match[2]))


class Profile:
    """Traces the steps asked for, with `jax.profiler`. Use as a context manager.

    Args:
        path: the folder that traces are written to, each in a folder of its own.
        steps: which; None for none.
        report: told where a trace lies, or that there is none.
    """

    def __init__(self, path: Path, steps: Steps | None, report: Report):
        self._path = path
        self._report = report
        self._steps = steps
        self._tracing = self._traced = False

    def __enter__(self) -> "Profile":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop()
        if self._steps is not None and not self._traced and kind is None:
            self._report(
                Caution(
                    f"no profile was made: this run did not come to step {self._steps.first}, or "
                    "went on after it"
                )
            )

    def before(self, number: int, state: Any) -> None:
        """To be called before each step, with the state it is given."""
        if self._steps is not None and number == self._steps.first:
            # What was begun before it is not a part of it.
            jax.block_until_ready(state)
            jax.profiler.start_trace(self._path, create_perfetto_trace=True)
            self._tracing = self._traced = True

    def after(self, number: int, state: Any) -> None:
        """To be called after each step, with the state that came out."""
        if self._steps is not None and number == self._steps.last:
            jax.block_until_ready(state)
            self._stop()

    def _stop(self) -> None:
        if self._tracing:
            self._tracing = False
            jax.profiler.stop_trace()
            self._report(
                Message(
                    f"profile: a trace lies in {self._path}; open its perfetto_trace.json.gz at "
                    "ui.perfetto.dev, or the folder with xprof"
                )
            )

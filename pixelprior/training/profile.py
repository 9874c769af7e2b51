"""Profile some steps of a run."""

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
    """Parse ``START:STOP``: the steps after step START, up to step STOP.

    Raises:
        InputError: if the text has another form, or there are no such steps.
    """
    match = re.fullmatch(r"(\d+):(\d+)", text)
    if match is None or int(match[1]) >= int(match[2]):
        raise InputError(
            f"expected START:STOP, two numbers of steps with START before STOP, got {text!r}"
        )
    return Steps(int(match[1]) + 1, int(match[2]))


class Profile:
    """Tracer of selected steps, with `jax.profiler`. Use as a context manager.

    Args:
        path: folder of the traces, each in a folder of its own.
        steps: the steps; None for none.
        report: receives the place of a trace, or a caution if there is none.
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
        """Call before each step, with its input state."""
        if self._steps is not None and number == self._steps.first:
            # Work that began before this step is not part of the profile.
            jax.block_until_ready(state)
            jax.profiler.start_trace(self._path, create_perfetto_trace=True)
            self._tracing = self._traced = True

    def after(self, number: int, state: Any) -> None:
        """Call after each step, with its output state."""
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

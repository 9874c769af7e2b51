"""Signals that end a run early, or ask it to save; the training loop looks for them.

SIGTERM and SIGINT end the run after its state is saved. SIGUSR1 saves the state, and the run goes
on. Schedulers can send it some time before they end a job.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from jaxtyping import Array, Int

from pixelprior.progress import Message, Report
from pixelprior.system.processes import largest, several

_unsaid = threading.Lock()
"""Taken by the first training that says that it runs in a thread."""

_ENDING = (signal.SIGTERM, signal.SIGINT)
_SAVE = 1
"""Value sent to the other processes for SIGUSR1; lower than the number of each ending signal."""


@contextlib.contextmanager
def without_saves() -> Iterator[None]:
    """Ignore SIGUSR1 for the duration of the body. A training in it handles the signal itself.

    Without it, the signal ends a process that has nothing to save yet.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, previous)


class Stopped(Exception):
    """A signal ends the run. Its state is saved already."""


class Interruption:
    """Context manager that notes signals instead of ending the process.

    A second SIGINT (another Ctrl-C) ends the process at once. With several processes, a signal to
    any of them reaches all at the same step, since a step needs all of them.
    """

    def __init__(self) -> None:
        # As this process received them: a signal that ends the run, and the wish to save.
        self._noted = 0
        self._save_noted = False
        # As all processes know them.
        self._known = 0
        self._save = False
        self._asked: Int[Array, ""] | None = None

    def __enter__(self) -> "Interruption":
        # Python handles signals only in its main thread. In other threads, handlers stay unchanged.
        main = threading.current_thread() is threading.main_thread()
        handlers = {number: self._note for number in _ENDING} | {signal.SIGUSR1: self._note_save}
        self._previous = {
            number: signal.signal(number, handler)
            for number, handler in (handlers.items() if main else ())
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @staticmethod
    def say_if_unheeded(report: Report) -> None:
        """Say once in a process that signals do not save a training outside its main thread."""
        main = threading.current_thread() is threading.main_thread()
        if not main and _unsaid.acquire(blocking=False):
            report(
                Message(
                    "this training runs in a thread, where Ctrl-C and SIGTERM do not save; its "
                    "checkpoints stay as they are"
                )
            )

    def at_step(self) -> tuple[int | None, bool]:
        """Return the signal that ends the run, or None, and whether to save. Call it in each step.

        With several processes, it is the signal known at the step before. Waiting for the current
        signal of the others would keep the devices from computing ahead.
        """
        self._update()
        save, self._save = self._save, False
        return self._known or None, save

    def check(self) -> None:
        """Raise `Stopped` if a signal ends the run. All processes must call this equally often."""
        self._update()
        if self._known:
            raise Stopped

    def check_here(self) -> None:
        """Raise `Stopped` if this process has received a signal that ends the run."""
        if self._noted:
            raise Stopped

    def at_end(self) -> int | None:
        """Return the signal known now, in any process; 0 or None if there is none."""
        return int(largest(self._noted)) if several() else self._noted

    def _update(self) -> None:
        """Learn of the signals to all processes."""
        noted = self._noted or _SAVE * self._save_noted
        self._save_noted = False
        if several():
            self._asked, asked = largest(noted), self._asked
            noted = 0 if asked is None else int(asked)
        if noted == _SAVE:
            self._save = True
        elif noted:
            self._known = noted

    def _note(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and self._noted == signal.SIGINT:
            raise KeyboardInterrupt
        self._noted = number

    def _note_save(self, number: int, _: FrameType | None) -> None:
        self._save_noted = True

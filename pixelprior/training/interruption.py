"""Handle signals that end a run early; the training loop checks for them at each step."""

import signal
import threading
from types import FrameType

from jaxtyping import Array, Int

from pixelprior.progress import Message, Report
from pixelprior.system.processes import largest, several

_unsaid = threading.Lock()
"""Taken by the first training that says that it runs in a thread."""


class Interruption:
    """Context manager that notes SIGTERM and SIGINT instead of ending the process.

    A second SIGINT (another Ctrl-C) ends the process at once. With several processes, a signal to
    any of them reaches all at the same step, since a step needs all of them.
    """

    def __init__(self) -> None:
        self._noted = 0
        self._asked: Int[Array, ""] | None = None

    def __enter__(self) -> "Interruption":
        # Python handles signals only in its main thread. In other threads, handlers stay unchanged.
        main = threading.current_thread() is threading.main_thread()
        self._previous = {
            number: signal.signal(number, self._note)
            for number in ((signal.SIGTERM, signal.SIGINT) if main else ())
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

    def at_step(self) -> int | None:
        """Return the signal that ends the run, or None. Call it once in each step.

        With several processes, it is the signal known at the step before. Waiting for the current
        signal of the others would keep the devices from computing ahead.
        """
        if not several():
            return self._noted or None
        known, self._asked = self._asked, largest(self._noted)
        return None if known is None else int(known) or None

    def at_end(self) -> int | None:
        """Return the signal known now, in any process; 0 or None if there is none."""
        return int(largest(self._noted)) if several() else self._noted

    def _note(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and self._noted == signal.SIGINT:
            raise KeyboardInterrupt
        self._noted = number

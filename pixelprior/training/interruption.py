"""Signals that end a run early, turned into a question that the loop asks at each step."""

import signal
import threading
from types import FrameType

from jaxtyping import Array, Int

from pixelprior.system.processes import largest, several


class Interruption:
    """While entered, SIGTERM and SIGINT are noted instead of killing the process.

    A second SIGINT (another Ctrl-C) ends the process at once. Of several processes, all learn at
    the same step of a signal that any of them was sent: a step needs all of them.
    """

    def __init__(self) -> None:
        self._noted = 0
        self._asked: Int[Array, ""] | None = None

    def __enter__(self) -> "Interruption":
        # Python handles signals in its main thread alone; elsewhere they stay as they are.
        main = threading.current_thread() is threading.main_thread()
        self._previous = {
            number: signal.signal(number, self._note)
            for number in ((signal.SIGTERM, signal.SIGINT) if main else ())
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def at_step(self) -> int | None:
        """The signal that ends the run, if there is one; to be asked once in each step.

        Of several processes, it is what was known at the step before: to wait for what the others
        know now would keep the devices from computing ahead.
        """
        if not several():
            return self._noted or None
        known, self._asked = self._asked, largest(self._noted)
        return None if known is None else int(known) or None

    def at_end(self) -> int | None:
        """The same, as it is known now."""
        return int(largest(self._noted)) if several() else self._noted

    def _note(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and self._noted == signal.SIGINT:
            raise KeyboardInterrupt
        self._noted = number

"""Signals that end a run early, turned into a question that the loop asks after each step."""

import signal
from types import FrameType


class Interruption:
    """While entered, SIGTERM and SIGINT are noted instead of killing the process.

    A second SIGINT (another Ctrl-C) ends the process at once.
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    def __enter__(self) -> "Interruption":
        self._previous = {
            number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number

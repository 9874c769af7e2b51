"""Watch of the processes of a job over each other, so that one that hangs does not hold the others.

Each process writes a growing number to a board that all of them read. A process whose number stays
the same for too long hangs: it was stopped, its host is gone, or its network is.
"""

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

SILENCE_SECONDS = 30
"""Time after which a process that shows no sign of life counts as hung.

Compilation, evaluation and input do not keep a process from showing one. They let other threads of
Python run.
"""

BEAT_SECONDS = 3
"""Time between two signs of life."""

SUSPECT_SECONDS = 4 * BEAT_SECONDS
"""Silence after which a lost connection is blamed on the silent process."""


class Board(Protocol):
    """A place where each process writes and all processes read."""

    def write(self, number: int, beat: int) -> None:
        """Write the latest sign of life of a process. Blocks while the first process hangs."""

    def read(self) -> Mapping[int, int]:
        """Read the latest sign of life of each process that has written one."""


class Watch:
    """Watch of one process over the others, in two threads.

    One thread writes and reads the board, and may block. The other one measures how long each
    process has been silent. Its clock stands still while this process itself is stopped.

    Args:
        board: the board, which the first process keeps.
        number: the number of this process.
        count: the number of processes.
        on_silence: called once, in a thread, with the number of the first process that hangs.
        limit: seconds of silence after which a process hangs.
        beat: seconds between two signs of life.
    """

    def __init__(
        self,
        board: Board,
        number: int,
        count: int,
        on_silence: Callable[[int], None],
        *,
        limit: float = SILENCE_SECONDS,
        beat: float = BEAT_SECONDS,
    ):
        self._board, self._number, self._on_silence = board, number, on_silence
        self._limit, self._beat = limit, beat
        self._now = 0.0
        self._heard = {other: 0.0 for other in range(count) if other != number}
        self._board_answered = 0.0
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start both threads."""
        for work in (self._exchange, self._measure):
            threading.Thread(target=work, daemon=True).start()

    def stop(self) -> None:
        """Stop watching, and show no further sign of life."""
        self._stopped.set()

    def silent(self, seconds: float) -> int | None:
        """Return a process that has been silent for at least this long, or None."""
        before = self._now - seconds
        silent = [other for other, heard in self._heard.items() if heard <= before]
        # A board that does not answer tells nothing about the others, which fell silent with it.
        if self._number and self._board_answered <= self._now - 2 * self._beat:
            return 0 if silent or self._board_answered <= before else None
        return silent[0] if silent else None

    def _exchange(self) -> None:
        shown: dict[int, int] = {}
        for beat in itertools.count():
            # A lost connection raises errors of several kinds. The silence counts, not the error.
            try:
                self._board.write(self._number, beat)
                seen = self._board.read()
            except Exception:
                seen = None
            if seen is not None:
                self._board_answered = self._now
                for other in self._heard:
                    if other in seen and seen[other] != shown.get(other):
                        shown[other] = seen[other]
                        self._heard[other] = self._now
            if self._stopped.wait(self._beat):
                return

    def _measure(self) -> None:
        last = time.monotonic()
        while not self._stopped.wait(self._beat / 3):
            passed = time.monotonic() - last
            last += passed
            # After a longer time this process was stopped itself, and heard nobody.
            self._now += min(passed, self._beat)
            hung = self.silent(self._limit)
            if hung is not None and not self._stopped.is_set():
                self._on_silence(hung)
                return

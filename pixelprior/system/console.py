"""Terminal output: messages and progress bars. They use standard error to keep the output clean.

If several processes share one job, only the first one prints. All text is made `printable`.
"""

import sys
from collections.abc import Iterable

from tqdm import tqdm

from pixelprior.progress import Advance, Caution, Event, Finished, Message
from pixelprior.system.printable import printable
from pixelprior.system.processes import is_first


def show(lines: Iterable[str]) -> None:
    """Print results to standard output, each on its own line."""
    if is_first():
        print("\n".join(map(printable, lines)), flush=True)


def say(message: str) -> None:
    """Print a line."""
    if is_first():
        print(printable(message), file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """Print a warning."""
    say(f"warning: {message}")


class Terminal:
    """A ``report`` for the command line: it shows events as lines and bars.

    If there are several processes, only the first one shows them.
    """

    def __init__(self) -> None:
        self._bars: dict[str, tqdm] = {}

    def __call__(self, event: Event) -> None:
        """Show one event; records and pictures are not shown."""
        match event:
            case Message(text):
                self._line(text)
            case Caution(text):
                warn(text)
            case Advance():
                self._advance(event)
            case Finished(job):
                if job in self._bars:
                    self._bars.pop(job).close()

    def _line(self, text: str) -> None:
        if not self._bars:
            say(text)
        elif is_first():
            # The line appears above the bar, which stays the last line.
            tqdm.write(printable(text), file=sys.stderr)

    def _advance(self, event: Advance) -> None:
        if event.job not in self._bars:
            self._bars[event.job] = tqdm(
                total=event.total,
                initial=event.done,
                unit=event.unit,
                desc=None if event.job == "training" else printable(event.job),
                disable=not is_first(),
            )
        bar = self._bars[event.job]
        if event.note:
            bar.set_postfix_str(printable(event.note))
        bar.update(event.done - bar.n)

"""Terminal output: messages and progress. They use standard error to keep the output clean.

If several processes share one job, only the first one prints. All text is made `printable`.
"""

import sys
from collections.abc import Iterable

from tqdm import tqdm

from pixelprior.progress import Advance, Caution, Event, Finished, Message
from pixelprior.system.printable import printable
from pixelprior.system.processes import is_first
from pixelprior.system.progress_log import ProgressLog
from pixelprior.system.terminal import fitted


def show(lines: Iterable[str]) -> None:
    """Print results to standard output, each on its own line."""
    if is_first():
        print("\n".join(fitted(printable(line), sys.stdout) for line in lines), flush=True)


def say(message: str) -> None:
    """Print a line."""
    if is_first():
        print(_for_errors(message), file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """Print a warning."""
    say(f"warning: {message}")


def _for_errors(message: str) -> str:
    return fitted(printable(message), sys.stderr)


class Terminal:
    """A ``report`` for the command line: it shows events as lines and bars.

    A log gets a line now and then in place of a bar. If there are several processes, only the first
    one shows anything.
    """

    def __init__(self) -> None:
        self._bars: dict[str, tqdm] = {}
        self._logs: dict[str, ProgressLog] = {}

    def __call__(self, event: Event) -> None:
        """Show one event; records and pictures are not shown."""
        match event:
            case Message(text):
                self._line(text)
            case Caution(text):
                self._line(f"warning: {text}")
            case Advance() if sys.stderr.isatty():
                self._move_bar(event)
            case Advance():
                self._log(event)
            case Finished(job):
                self._finish(job)

    def _line(self, text: str) -> None:
        if not self._bars:
            say(text)
        elif is_first():
            # The line appears above the bar, which stays the last line.
            tqdm.write(_for_errors(text), file=sys.stderr)

    def _move_bar(self, event: Advance) -> None:
        if event.job not in self._bars:
            self._bars[event.job] = tqdm(
                total=event.total,
                initial=event.done,
                unit=event.unit,
                desc=None if event.job == "training" else printable(event.job),
                disable=not is_first(),
                dynamic_ncols=True,
            )
        bar = self._bars[event.job]
        if event.note:
            bar.set_postfix_str(printable(event.note))
        bar.update(event.done - bar.n)

    def _log(self, event: Advance) -> None:
        if event.job not in self._logs:
            self._logs[event.job] = ProgressLog(event)
        elif line := self._logs[event.job].line(event):
            say(line)

    def _finish(self, job: str) -> None:
        if job in self._bars:
            self._bars.pop(job).close()
        if job in self._logs and (line := self._logs.pop(job).last_line()):
            say(line)

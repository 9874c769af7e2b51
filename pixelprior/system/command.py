"""Command line of this process, which a run folder records.

Only the command line sets it. Under another program, such as a notebook, it is empty: the arguments
of that program do not describe the run.
"""

import contextlib
import shlex
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path

_COMMAND: ContextVar[str] = ContextVar("command", default="")


def command() -> str:
    """Return the command, as one can type it into a shell; empty outside of a command line."""
    return _COMMAND.get()


@contextlib.contextmanager
def in_command(arguments: Sequence[str]) -> Iterator[None]:
    """Record a command line for the duration of the body.

    Args:
        arguments: the program and its arguments, as in ``sys.argv``.
    """
    token = _COMMAND.set(_in_words(*arguments))
    try:
        yield
    finally:
        _COMMAND.reset(token)


def _in_words(program: str, *arguments: str) -> str:
    """Write a command without the folder of its program."""
    name = Path(program).name
    start = f"python {name}" if name.endswith(".py") else name
    return f"{start} {shlex.join(arguments)}".strip()

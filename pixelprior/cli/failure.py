"""End of a command that was used wrongly, or interrupted."""

import sys
from typing import NoReturn

from pixelprior.system.printable import printable

INTERRUPTED = 130
"""The status that shells expect after Ctrl-C."""

STATUS = 2
"""The status of a wrong use, as other commands have it."""


def fail(message: str) -> NoReturn:
    """Print one sentence on standard error, and exit the process."""
    # In one line also in a terminal, so that a command in it can be copied.
    print(f"error: {printable(message)}", file=sys.stderr, flush=True)
    sys.exit(STATUS)


def interrupted() -> NoReturn:
    """Say that the user interrupted the command, and exit the process."""
    print("interrupted", file=sys.stderr)
    sys.exit(INTERRUPTED)

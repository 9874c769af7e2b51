"""Words for whoever watches a run: on standard error, so that output stays clean.

Of several processes that do one job, the first one speaks for all.
"""

import sys

from pixelprior.system.processes import is_first


def say(message: str) -> None:
    """Prints a line."""
    if is_first():
        print(message, file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """Prints a warning."""
    say(f"warning: {message}")

"""Words for whoever watches a run: on standard error, so that output stays clean."""

import sys


def say(message: str) -> None:
    """Prints a line."""
    print(message, file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """Prints a warning."""
    say(f"warning: {message}")

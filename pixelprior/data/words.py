"""Numbers and names of files in messages."""

from collections.abc import Sequence

SHOWN = 20
"""Largest number of files that a message names."""


def plural(number: int, noun: str, several: str = "") -> str:
    """Write a number with its noun, like "1 file" or "1,200 files"."""
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"


def shown(name: str) -> str:
    """Return a name as it is, or escaped if a terminal could not show it."""
    return name if name.isprintable() else ascii(name)


def listed(names: Sequence[str], most: int = SHOWN) -> str:
    """List the first names, and count the rest."""
    text = ", ".join(map(shown, names[:most]))
    return text if len(names) <= most else f"{text} and {len(names) - most:,} more"

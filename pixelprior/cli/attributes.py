"""The value of the flag ``--attributes``: a number for each of some attributes."""

import math
from collections.abc import Iterable

from pixelprior.errors import InputError

LARGEST = (2 - 2**-23) * 2.0**127
"""Largest number in float32. NumPy, which knows it, would make help slow."""


def read_attributes(entries: Iterable[str]) -> dict[str, float]:
    """Read entries like "smiling=1".

    Raises:
        InputError: if an entry is not of this form, or two have the same name.
    """
    found: dict[str, float] = {}
    for entry in entries:
        name, equals, value = entry.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not equals or not name or not abs(number) <= LARGEST:
            raise InputError(
                f"attributes must be like smiling=1,age=-0.5, with finite numbers, got {entry!r}"
            )
        if name in found:
            raise InputError(f"the attribute {name} was given twice; give it once")
        found[name] = number
    return found

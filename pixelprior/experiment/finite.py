"""The numbers that a config may have."""

import math


def is_finite_number(value: object) -> bool:
    """True for a float that is neither NaN nor infinite, and an int that fits into a float."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False

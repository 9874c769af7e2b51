"""Checks of sizes, shares and weights, for constructors and other functions."""

import math
import numbers

from pixelprior.errors import InputError


def check_sizes(least: int = 1, **sizes: int) -> None:
    """Raise an InputError unless each size is an integer of at least ``least``.

    Examples:
        >>> check_sizes(features=64, num_layers=6)
    """
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < least:
            raise InputError(f"{name} must be an integer of at least {least}, got {size!r}")


def check_kernel_sizes(**sizes: int) -> None:
    """Raise an InputError unless each size is an odd integer of at least 3."""
    for name, size in sizes.items():
        if not isinstance(size, int) or size % 2 == 0 or size < 3:
            raise InputError(f"{name} must be odd and at least 3, got {size!r}")


def check_shares(**shares: float) -> None:
    """Raise an InputError unless each share is a number in [0, 1)."""
    for name, share in shares.items():
        if not isinstance(share, numbers.Real) or not 0 <= share < 1:
            raise InputError(f"{name} must be a number in [0, 1), got {share!r}")


def check_weights(**weights: float) -> None:
    """Raise an InputError unless each weight is a finite number of at least 0."""
    for name, weight in weights.items():
        if not isinstance(weight, numbers.Real) or not 0 <= weight < math.inf:
            raise InputError(f"{name} must be a number of at least 0, got {weight!r}")

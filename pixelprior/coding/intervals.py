"""Probabilities as integers: the only place where the coder rounds them.

Legend: n any leading axes, v values per symbol.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

PRECISION = 20
"""Bits of a probability."""

TOTAL = 1 << PRECISION
"""Sum of the integer probabilities of all values of a symbol."""

MOST_LEVELS = 1 << 16
"""Largest number of values of a symbol. More would take too large a share of `TOTAL`."""


class Interval(NamedTuple):
    """Range of ``[0, TOTAL)`` that belongs to a symbol. A longer range takes fewer bits.

    Attributes:
        start: the first number of the range; an integer array of any shape.
        length: the probability of the symbol, in units of ``1 / TOTAL``; of the same shape.
    """

    start: Any
    length: Any


def integer_probabilities(logits: Float[Array, "*n v"]) -> Int[Array, "*n v"]:
    """Round the distribution of each symbol to integers of at least 1 that add up to `TOTAL`.

    No symbol is impossible. The value with the largest logit takes what rounding leaves. A symbol
    of a distribution with v values costs at most ``-log2(1 - v / TOTAL)`` bits more than its NLL,
    but for rounding.
    """
    levels = logits.shape[-1]
    mass = jnp.exp(logits - logits.max(axis=-1, keepdims=True)).astype(jnp.float32)
    share = mass / mass.sum(axis=-1, keepdims=True)
    # Values that are not finite become 0, so that the integers add up for any logits.
    share = jnp.where((share >= 0) & (share <= 1), share, 0.0)
    lengths = 1 + jnp.floor(share * (TOTAL - levels)).astype(jnp.int32)
    rest = TOTAL - lengths.sum(axis=-1)
    largest = jnp.arange(levels) == jnp.argmax(logits, axis=-1)[..., None]
    return lengths + jnp.where(largest, rest[..., None], 0)


def interval_of(lengths: Int[Array, "*n v"], symbols: Int[Array, "*n"]) -> Interval:
    """Return the interval of each symbol, given the integer probabilities."""
    before = jnp.arange(lengths.shape[-1]) < symbols[..., None]
    start = jnp.where(before, lengths, 0).sum(axis=-1)
    length = jnp.take_along_axis(lengths, symbols[..., None], axis=-1)[..., 0]
    return Interval(start, length)


def symbol_at(lengths: Int[Array, "*n v"], number: Int[Array, "*n"]) -> Int[Array, "*n"]:
    """Return the symbol in whose interval a number lies."""
    ends = jnp.cumsum(lengths, axis=-1)
    # The last end is above every number.
    return (ends[..., :-1] <= number[..., None]).sum(axis=-1, dtype=jnp.int32)

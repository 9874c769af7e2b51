"""Asymmetric numeral systems: intervals of numbers as a stream of 16-bit words.

Legend: l lanes, t symbols per lane, w words.

Several *lanes* share one stream. Each lane has a state, an integer of 48 bits. Reading a symbol
takes information out of the state of its lane. The state then takes words from the stream until it
is large enough again. Writing is the exact inverse, from the last symbol to the first.

Reading is part of a compiled program. JAX has no integers of 64 bits by default, so a state is
three words. Writing needs no model, and runs in NumPy once all intervals are known.

Sources: Duda 2013, Asymmetric numeral systems, section 4 (the variant rANS); Giesen 2014,
Interleaved entropy coders, section 3 (several lanes in one stream).
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, UInt16, UInt32, UInt64

from pixelprior.coding.intervals import PRECISION, Interval

WORD = 16
"""Bits of a word of the stream."""

SMALLEST = 1 << 32
"""Smallest state between two symbols. The largest is ``2**48 - 1``."""

WORDS_PER_SYMBOL = 2
"""Largest number of words that a state takes after a symbol."""

_MASK = (1 << WORD) - 1


class Reader(NamedTuple):
    """Position in a stream.

    Attributes:
        states: the state of each lane as three words, the highest first: uint32 ``[3, l]``.
        position: number of words taken so far, int32.
    """

    states: Any
    position: Any


def start_of(states: UInt64[np.ndarray, " l"]) -> Reader:
    """Return the position at the start of a stream, as arrays of the host."""
    parts = [(states >> np.uint64(shift)) & np.uint64(_MASK) for shift in (32, 16, 0)]
    return Reader(np.stack(parts).astype(np.uint32), np.int32(0))


def states_of(reader: Reader) -> UInt64[np.ndarray, " l"]:
    """Return the states of a reader as integers."""
    high, middle, low = np.asarray(reader.states).astype(np.uint64)
    return (high << np.uint64(32)) | (middle << np.uint64(16)) | low


def next_number(reader: Reader) -> Int[Array, " l"]:
    """Return the number in ``[0, TOTAL)`` whose interval is that of the next symbol."""
    _, middle, low = reader.states
    high_bits = PRECISION - WORD
    return ((middle & ((1 << high_bits) - 1)) << WORD | low).astype(jnp.int32)


def take(
    reader: Reader, words: UInt32[Array, " w"], number: Int[Array, " l"], interval: Interval
) -> Reader:
    """Take the next symbol of each lane, of which the interval is known.

    Beyond the end of the stream, words are 0.

    Args:
        reader: the position in the stream.
        words: the words of the stream.
        number: the result of `next_number`.
        interval: the interval of each symbol.
    """
    states = _shrunk(reader.states, interval.length, number - interval.start)
    position = reader.position
    for _ in range(WORDS_PER_SYMBOL):
        small = states[0] == 0
        place = position + jnp.cumsum(small) - small
        word = jnp.take(words, place, mode="fill", fill_value=0)
        states = jnp.where(small, jnp.stack([states[1], states[2], word]), states)
        position = position + small.sum(dtype=jnp.int32)
    return Reader(states, position)


def _shrunk(
    states: UInt32[Array, "3 l"], length: Int[Array, " l"], offset: Int[Array, " l"]
) -> UInt32[Array, "3 l"]:
    """Compute ``length * (state >> PRECISION) + offset`` in words."""
    high, middle, low = states
    shift = PRECISION - WORD
    factor = length.astype(jnp.uint32)
    factor_high, factor_low = factor >> WORD, factor & _MASK
    quotient_high = high >> shift
    quotient_low = ((high << (WORD - shift)) | (middle >> shift)) & _MASK
    offset = offset.astype(jnp.uint32)
    # Every sum is below 2**32.
    first = factor_low * quotient_low
    second = factor_low * quotient_high + factor_high * quotient_low + (first >> WORD)
    low = (first & _MASK) + (offset & _MASK)
    middle = (second & _MASK) + (offset >> WORD) + (low >> WORD)
    high = factor_high * quotient_high + (second >> WORD) + (middle >> WORD)
    return jnp.stack([high & _MASK, middle & _MASK, low & _MASK])


class Stream(NamedTuple):
    """Result of writing.

    Attributes:
        states: the state of each lane with which reading begins.
        words: the words of the stream.
    """

    states: UInt64[np.ndarray, " l"]
    words: UInt16[np.ndarray, " w"]


def write(starts: UInt32[np.ndarray, "t l"], lengths: UInt32[np.ndarray, "t l"]) -> Stream:
    """Write the intervals of symbols. Reading them ends with all states at `SMALLEST`.

    A symbol with the interval ``[0, TOTAL)`` takes no bits and changes nothing.
    """
    states = np.full(starts.shape[1], SMALLEST, np.uint64)
    chunks = []
    for start, length in zip(starts[::-1], lengths[::-1], strict=True):
        states, words = _put(states, start.astype(np.uint64), length.astype(np.uint64))
        chunks.append(words)
    empty = np.zeros(0, np.uint16)
    return Stream(states, np.concatenate([*chunks[::-1], empty]))


_LOW = np.uint64(_MASK)
_WORD, _PRECISION = np.uint64(WORD), np.uint64(PRECISION)
# A state below this times the length still fits into 48 bits after the symbol is put into it.
_ROOM = np.uint64(48 - PRECISION)


def _put(
    states: UInt64[np.ndarray, " l"],
    start: UInt64[np.ndarray, " l"],
    length: UInt64[np.ndarray, " l"],
) -> tuple[UInt64[np.ndarray, " l"], UInt16[np.ndarray, " w"]]:
    """Put one symbol into each lane; return the words in the order in which they are read."""
    limit = length << _ROOM
    rounds: list[tuple[Bool[np.ndarray, " l"], UInt64[np.ndarray, " l"]]] = []
    for _ in range(WORDS_PER_SYMBOL):
        large = states >= limit
        rounds.append((large, states & _LOW))
        states = np.where(large, states >> _WORD, states)
    (one, low), (two, high) = rounds
    # A lane that gave two words reads the second one first.
    words = np.concatenate([np.where(two, high, low)[one], low[two]]).astype(np.uint16)
    return ((states // length) << _PRECISION) + states % length + start, words

"""Streams: against a coder in Python's integers, which have no largest value."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pixelprior.coding.intervals import TOTAL, Interval
from pixelprior.coding.rans import SMALLEST, next_number, start_of, states_of, take, write


def written(starts, lengths):
    """Put symbols into states of Python integers, from the last one to the first."""
    states, words = [SMALLEST] * starts.shape[1], []
    for row, sizes in zip(starts.tolist()[::-1], lengths.tolist()[::-1], strict=True):
        given = []
        for lane, (start, length) in enumerate(zip(row, sizes, strict=True)):
            taken = []
            while states[lane] >= length << 28:
                taken.append(states[lane] & 0xFFFF)
                states[lane] >>= 16
            given.append(taken[::-1])
            states[lane] = (states[lane] // length) * TOTAL + states[lane] % length + start
        rounds = [[one[n] for one in given if len(one) > n] for n in range(2)]
        words = rounds[0] + rounds[1] + words
    return states, words


def random_intervals(num, lanes, seed, kind):
    rng = np.random.default_rng(seed)
    lengths = {
        "even": lambda: rng.integers(1, TOTAL + 1, (num, lanes)),
        "skewed": lambda: np.where(
            rng.random((num, lanes)) < 0.9, TOTAL - 1, rng.integers(1, 4, (num, lanes))
        ),
        "rare": lambda: np.ones((num, lanes), int),
        "free": lambda: np.full((num, lanes), TOTAL),
    }[kind]()
    return rng.integers(0, TOTAL - lengths + 1), lengths


KINDS = ["even", "skewed", "rare", "free"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lanes", [1, 5, 8])
def test_writing_is_that_of_large_integers(kind, lanes):
    starts, lengths = random_intervals(200, lanes, 0, kind)
    stream = write(starts.astype(np.uint32), lengths.astype(np.uint32))
    states, words = written(starts, lengths)
    assert stream.states.tolist() == states and stream.words.tolist() == words
    bits = -np.log2(lengths / TOTAL).sum()
    size = 48 * lanes + 16 * len(words)
    # A state holds 32 bits that say nothing, and is 16 bits larger or smaller by its words.
    assert bits - 1 <= size <= 1.0005 * bits + 48 * lanes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lanes", [1, 8])
def test_reading_takes_everything_back(kind, lanes):
    starts, lengths = random_intervals(300, lanes, 1, kind)
    stream = write(starts.astype(np.uint32), lengths.astype(np.uint32))
    words = jnp.asarray(np.append(stream.words, 0), jnp.uint32)

    def step(place, interval):
        number = next_number(place)
        inside = (number >= interval.start) & (number < interval.start + interval.length)
        return take(place, words, number, interval), inside

    each = Interval(jnp.asarray(starts, jnp.int32), jnp.asarray(lengths, jnp.int32))
    place, inside = jax.lax.scan(step, start_of(stream.states), each)
    assert np.asarray(inside).all()
    assert (states_of(place) == SMALLEST).all() and int(place.position) == len(stream.words)


def test_nothing_is_written():
    stream = write(np.zeros((0, 3), np.uint32), np.zeros((0, 3), np.uint32))
    assert stream.states.tolist() == [SMALLEST] * 3 and len(stream.words) == 0

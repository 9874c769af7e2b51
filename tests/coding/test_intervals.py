"""Integer probabilities: valid for any logits, and close to the real ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pixelprior.coding.intervals import TOTAL, integer_probabilities, interval_of, symbol_at


@pytest.mark.parametrize("levels", [2, 3, 17, 256, 4096])
@pytest.mark.parametrize("scale", [0.1, 3.0, 40.0])
def test_they_add_up_and_no_value_is_impossible(levels, scale):
    logits = scale * jax.random.normal(jax.random.key(0), (50, levels))
    lengths = np.asarray(integer_probabilities(logits), np.int64)
    assert (lengths >= 1).all() and (lengths.sum(axis=-1) == TOTAL).all()
    # Against float64: the excess bits are those of the floor, and of rounding to one part.
    exact = np.asarray(logits, np.float64)
    share = np.exp(exact - exact.max(axis=-1, keepdims=True))
    share /= share.sum(axis=-1, keepdims=True)
    entropy = -np.sum(share * np.log2(np.where(share > 0, share, 1)), axis=-1)
    cross = -np.sum(share * np.log2(lengths / TOTAL), axis=-1)
    assert (cross >= entropy - 1e-6).all()
    assert (cross - entropy <= -np.log2(1 - levels / TOTAL) + 2e-6).all()


@pytest.mark.parametrize(
    "logits",
    [
        [np.nan, 0.0, 1.0],
        [np.nan, np.nan, np.nan],
        [np.inf, 0.0, np.inf],
        [-np.inf, -np.inf, -np.inf],
        [-np.inf, 0.0, -1e38],
        [3e38, -3e38, 0.0],
    ],
)
def test_logits_that_are_not_finite(logits):
    lengths = np.asarray(integer_probabilities(jnp.asarray(logits)))
    assert (lengths >= 1).all() and lengths.sum() == TOTAL


def test_intervals_follow_each_other():
    lengths = jnp.asarray([[5, 1, TOTAL - 6]])
    symbols = jnp.arange(3)
    found = interval_of(jnp.repeat(lengths, 3, axis=0), symbols)
    np.testing.assert_array_equal(found.start, [0, 5, 6])
    np.testing.assert_array_equal(found.length, [5, 1, TOTAL - 6])
    numbers = jnp.asarray([0, 4, 5, 6, TOTAL - 1])
    at = symbol_at(jnp.repeat(lengths, 5, axis=0), numbers)
    np.testing.assert_array_equal(at, [0, 0, 1, 2, 2])

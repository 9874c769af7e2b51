"""The use of codebooks, against figures that can be worked out by hand."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from pixelprior.errors import InputError
from pixelprior.evaluation.code_use import (
    CodeUse,
    code_counts,
    code_use,
    is_collapsed,
    unigram_cross_entropy_bits,
)


def random_codes(seed, n, groups, size):
    return np.random.default_rng(seed).integers(0, size, (n, 3, 2, groups), dtype=np.int32)


def perplexity(value):
    return CodeUse(value, 1.0, math.log2(value))


def test_counts_by_hand():
    # Two codebooks of four codes; the second never shows its codes 0 and 3.
    indices = np.array([[0, 1], [0, 2], [3, 1]]).reshape(3, 1, 1, 2)
    counts = code_counts(indices, 4)
    assert counts.dtype == np.int64
    assert counts.tolist() == [[2, 0, 0, 1], [0, 2, 1, 0]]


def test_counts_of_batches_add_up():
    indices = random_codes(0, 10, 3, 5)
    parts = [code_counts(jnp.asarray(part), 5) for part in np.split(indices, [4, 4, 7])]
    total = sum(parts)
    np.testing.assert_array_equal(total, code_counts(indices, 5))
    expected = [[(indices[..., g] == k).sum() for k in range(5)] for g in range(3)]
    np.testing.assert_array_equal(total, expected)


def test_a_uniform_codebook_is_used_in_full():
    use = code_use(np.full((2, 8), 7))
    np.testing.assert_allclose(use, (8.0, 1.0, 3.0), rtol=1e-12)


def test_a_single_code():
    assert code_use(np.array([[0, 5, 0, 0]])) == (1.0, 0.25, 0.0)
    # Not -0.0, which a table would print with its sign.
    assert math.copysign(1, code_use(np.array([[0, 5]])).entropy_bits) == 1


def test_means_are_over_codebooks():
    # The first: 1/2, 1/4, 1/4 gives 1.5 bits. The second: one code only.
    use = code_use(np.array([[2, 1, 1, 0], [0, 0, 0, 9]]))
    np.testing.assert_allclose(use.entropy_bits, 0.75, rtol=1e-12)
    np.testing.assert_allclose(use.perplexity, (2**1.5 + 1) / 2, rtol=1e-12)
    assert use.used == 0.5


def test_use_of_counts_held_by_jax():
    counts = np.array([[3, 1, 0]])
    assert code_use(jnp.asarray(counts)) == code_use(counts)


@pytest.mark.parametrize(
    ("value", "size", "collapsed"),
    [
        (25.5, 512, True),  # 5% of 512 is 25.6.
        (25.7, 512, False),
        (1.9, 8, True),
        (2.1, 8, False),
        (1.9, 4, True),
        # Two codes, the rarer a tenth of the time: 0.47 bits; or an eighth of it: 0.54.
        (2**0.469, 2, True),
        (2**0.544, 2, False),
    ],
)
def test_what_is_called_collapsed(value, size, collapsed):
    assert is_collapsed(perplexity(value), size) is collapsed


@pytest.mark.parametrize("size", [2, 3, 4, 5, 100, 8192])
def test_even_use_is_never_collapsed_and_a_single_code_always(size):
    assert not is_collapsed(code_use(np.ones((1, size), np.int64)), size)
    assert is_collapsed(code_use(np.eye(1, size, dtype=np.int64)), size)


def test_cross_entropy_by_hand():
    # With one added to each: 1/2 and 1/4, 1/4. Two test codes cost 1 bit, one costs 2.
    train = np.array([[1, 0, 0]])
    test = np.array([[2, 1, 0]])
    np.testing.assert_allclose(unigram_cross_entropy_bits(train, test), 4 / 3, rtol=1e-12)


def test_cross_entropy_of_equal_frequencies_is_the_entropy():
    # So many counts that the one added to each is not seen.
    counts = np.random.default_rng(0).integers(1, 9, (3, 6))
    bits = unigram_cross_entropy_bits(counts * 10**9, counts)
    np.testing.assert_allclose(bits, code_use(counts).entropy_bits, rtol=1e-8)
    # Any other frequencies cost more.
    other = np.random.default_rng(1).integers(1, 9, (3, 6))
    assert unigram_cross_entropy_bits(other * 10**9, counts) > bits + 0.01


def test_codes_unseen_in_training_cost_finite_bits():
    train, test = np.array([[14, 0]]), np.array([[0, 3]])
    np.testing.assert_allclose(unigram_cross_entropy_bits(train, test), 4.0, rtol=1e-12)


def test_errors_say_what_to_do():
    indices = random_codes(1, 4, 2, 5)
    with pytest.raises(InputError, match=r"\[n, h, w, g\].*\(4, 3, 2\)"):
        code_counts(indices[..., 0], 5)
    with pytest.raises(InputError, match="integer codes, got float64"):
        code_counts(indices / 2, 5)
    with pytest.raises(InputError, match=r"\[0, 4\), got codes from 0 to 4"):
        code_counts(indices, 4)
    with pytest.raises(InputError, match="from -1"):
        code_counts(indices - 1, 5)
    for counts in (np.zeros((2, 4), np.int64), np.array([[1, 2], [0, 0]]), np.zeros((0, 4), int)):
        with pytest.raises(InputError, match="counted at least once"):
            code_use(counts)
    with pytest.raises(InputError, match="at least 0, got -1"):
        code_use(np.array([[-1, 2]]))
    with pytest.raises(InputError, match=r"\[g, k\], got int64 of shape \(3,\)"):
        code_use(np.array([1, 2, 3]))
    with pytest.raises(InputError, match="got float64"):
        code_use(np.array([[0.5, 0.5]]))
    with pytest.raises(InputError, match="at least 2 codes, got 1"):
        is_collapsed(perplexity(1.0), 1)
    with pytest.raises(InputError, match="codebook that was counted"):
        is_collapsed(perplexity(9.0), 8)
    with pytest.raises(InputError, match="same codebooks"):
        unigram_cross_entropy_bits(np.ones((2, 3), int), np.ones((2, 4), int))
    with pytest.raises(InputError, match="counted at least once"):
        unigram_cross_entropy_bits(np.ones((1, 3), int), np.zeros((1, 3), int))
    with pytest.raises(InputError, match="counted at least once"):
        unigram_cross_entropy_bits(np.zeros((1, 3), int), np.ones((1, 3), int))

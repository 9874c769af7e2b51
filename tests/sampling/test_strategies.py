"""Each strategy gives exactly the renormalised distribution that it promises."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pixelprior.errors import InputError
from pixelprior.sampling.strategies import (
    Greedy,
    MinP,
    Temperature,
    TopK,
    TopP,
    apply_strategies,
    strategies_from,
)

# Exact in binary, so that sums and ties are exact too.
TIES = np.array([0.125, 0.25, 0.0625, 0.25, 0.25, 0.0625])


def softmax(logits):
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


def renormalised(strategies, p):
    """What is drawn from, in place of the distribution p."""
    with np.errstate(divide="ignore"):
        logits = np.log(p).astype(np.float32)
    result = np.asarray(jax.jit(apply_strategies)(strategies, logits), np.float64)
    # Unnormalised logits stand for the same distribution, wherever they are shifted.
    shifted = np.asarray(jax.jit(apply_strategies)(strategies, logits + 2.0), np.float64)
    np.testing.assert_allclose(softmax(shifted), softmax(result), rtol=1e-4, atol=1e-9)
    return softmax(result)


def keep(p, kept):
    return np.where(kept, p, 0) / np.where(kept, p, 0).sum(axis=-1, keepdims=True)


def brute_force_top_k(p, k):
    """Level by level: it stays if fewer than k levels are likelier."""
    return keep(p, (p[..., None, :] > p[..., :, None]).sum(axis=-1) < k)


def brute_force_top_p(p, threshold):
    """Level by level: it stays if the likelier levels have not reached the threshold."""
    likelier = p[..., None, :] > p[..., :, None]
    return keep(p, (likelier * p[..., None, :]).sum(axis=-1) < threshold)


def random_distributions(levels=9):
    return softmax(2 * np.random.default_rng(0).normal(size=(5, 4, levels)))


@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.7, 100.0])
def test_temperature_is_a_power(temperature):
    p = random_distributions()
    power = p ** (1 / temperature)
    expected = power / power.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(renormalised((Temperature(temperature),), p), expected, rtol=1e-4)


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 1e-38, 1e-300])
def test_a_temperature_close_to_zero_takes_the_likeliest(temperature):
    # The smallest are zero in float32, and even larger ones take any logit out of its range.
    expected = [0, 0.5, 0, 0, 0.5, 0]
    p = np.array([0.1, 0.3, 0.1, 0.15, 0.3, 0.05])
    actual = renormalised((Temperature(temperature),), p)
    np.testing.assert_allclose(actual, expected, atol=1e-6)


@pytest.mark.parametrize("k", [1, 2, 5, 8, 9, 10, 1000])
def test_top_k_keeps_the_k_likeliest(k):
    p = random_distributions()
    actual = renormalised((TopK(k),), p)
    np.testing.assert_allclose(actual, brute_force_top_k(p, k), rtol=1e-5)
    assert ((actual > 0).sum(axis=-1) == min(k, 9)).all()


@pytest.mark.parametrize(
    ("k", "kept"),
    [(1, [1, 3, 4]), (2, [1, 3, 4]), (3, [1, 3, 4]), (4, [0, 1, 3, 4]), (5, range(6))],
)
def test_top_k_keeps_all_that_are_as_likely_as_the_kth(k, kept):
    actual = renormalised((TopK(k),), TIES)
    expected = keep(TIES, np.isin(np.arange(6), kept))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    np.testing.assert_allclose(expected, brute_force_top_k(TIES, k), rtol=1e-12)


@pytest.mark.parametrize("p", [1e-30, 0.1, 0.5, 0.9, 0.999])
def test_top_p_keeps_the_nucleus(p):
    distributions = random_distributions()
    actual = renormalised((TopP(p),), distributions)
    np.testing.assert_allclose(actual, brute_force_top_p(distributions, p), rtol=1e-5)
    nucleus = np.where(actual > 0, distributions, 0)
    # Enough, and not one more than needed.
    assert (nucleus.sum(axis=-1) >= p).all()
    least = np.where(nucleus > 0, nucleus, np.inf).min(axis=-1)
    assert (nucleus.sum(axis=-1) - least < p).all()


@pytest.mark.parametrize(
    ("p", "kept"),
    [
        (1e-6, [1, 3, 4]),
        (0.24, [1, 3, 4]),
        (0.7, [1, 3, 4]),
        (0.76, [0, 1, 3, 4]),
        (0.87, [0, 1, 3, 4]),
        (0.88, range(6)),
        (1.0, range(6)),
    ],
)
def test_top_p_keeps_all_that_are_as_likely_as_the_last(p, kept):
    actual = renormalised((TopP(p),), TIES)
    expected = keep(TIES, np.isin(np.arange(6), kept))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    np.testing.assert_allclose(expected, brute_force_top_p(TIES, p), rtol=1e-12)


def test_top_p_of_one_cuts_no_tail():
    # The sum of the others rounds to one before the last level is reached.
    p = np.array([1 - 3e-9, 1e-9, 1e-9, 1e-9])
    np.testing.assert_allclose(renormalised((TopP(1.0),), p), p, rtol=1e-5)


@pytest.mark.parametrize("p", [0.0, 0.05, 0.3, 0.999, 1.0])
def test_min_p_keeps_what_is_likely_enough(p):
    distributions = random_distributions()
    likely = distributions >= p * distributions.max(axis=-1, keepdims=True)
    actual = renormalised((MinP(p),), distributions)
    np.testing.assert_allclose(actual, keep(distributions, likely), rtol=1e-5)


@pytest.mark.parametrize(("p", "kept"), [(1.0, [1, 3, 4]), (0.49, [0, 1, 3, 4]), (0.24, range(6))])
def test_min_p_keeps_what_is_just_likely_enough(p, kept):
    expected = keep(TIES, np.isin(np.arange(6), kept))
    np.testing.assert_allclose(renormalised((MinP(p),), TIES), expected, rtol=1e-6)


def test_greedy_takes_the_likeliest_and_the_lowest_of_equals():
    p = random_distributions()
    np.testing.assert_array_equal(renormalised((Greedy(),), p), np.eye(9)[p.argmax(axis=-1)])
    np.testing.assert_array_equal(renormalised((Greedy(),), TIES), np.eye(6)[1])


@pytest.mark.parametrize(
    "strategy",
    [TopK(2), TopP(0.6), Temperature(0.5), TopP(1.0), TopK(6), MinP(0.0), MinP(0.5), Greedy()],
)
def test_levels_without_a_chance_get_none(strategy):
    p = np.array([0.5, 0, 0.3, 0.2, 0, 0])
    assert (renormalised((strategy,), p)[[1, 4, 5]] == 0).all()


def test_strategies_are_applied_in_turn():
    p = random_distributions()
    expected = p ** (1 / 0.6) / (p ** (1 / 0.6)).sum(axis=-1, keepdims=True)
    expected = brute_force_top_p(brute_force_top_k(expected, 4), 0.8)
    actual = renormalised((Temperature(0.6), TopK(4), TopP(0.8)), p)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)
    # In another order it is another distribution.
    other = renormalised((TopP(0.8), TopK(4), Temperature(0.6)), p)
    assert np.abs(other - expected).max() > 0.01


def test_no_strategy_changes_nothing():
    logits = jnp.arange(5.0)
    assert apply_strategies((), logits) is logits


def test_the_usual_settings():
    assert strategies_from() == ()
    assert strategies_from(temperature=0.5, top_k=3, top_p=0.9) == (
        Temperature(0.5),
        TopK(3),
        TopP(0.9),
    )
    assert strategies_from(top_p=0.9, min_p=0.1) == (TopP(0.9), MinP(0.1))
    assert strategies_from(greedy=True) == (Greedy(),)


@pytest.mark.parametrize(
    "other", [{"temperature": 0.5}, {"top_k": 1}, {"top_p": 1.0}, {"min_p": 0}]
)
def test_greedy_goes_with_nothing_else(other):
    with pytest.raises(InputError, match="leave other settings out"):
        strategies_from(greedy=True, **other)


@pytest.mark.parametrize("temperature", [0, -1.0, float("inf"), float("nan"), np.float32(-1)])
def test_temperatures_out_of_range_are_refused(temperature):
    with pytest.raises(InputError, match="temperature must be a number above 0"):
        Temperature(temperature)
    with pytest.raises(InputError, match="temperature must be a number above 0"):
        strategies_from(temperature=temperature)


@pytest.mark.parametrize("k", [0, -3, 2.5, np.int64(0)])
def test_ks_out_of_range_are_refused(k):
    with pytest.raises(InputError, match="top_k must be an integer of at least 1, got"):
        TopK(k)
    with pytest.raises(InputError, match="top_k must be an integer of at least 1, got"):
        strategies_from(top_k=k)


@pytest.mark.parametrize("p", [0, -0.1, 1.01, float("nan"), np.float32(2)])
def test_ps_out_of_range_are_refused(p):
    with pytest.raises(InputError, match=r"top_p must be in \(0, 1\], got"):
        TopP(p)
    with pytest.raises(InputError, match=r"top_p must be in \(0, 1\], got"):
        strategies_from(top_p=p)


@pytest.mark.parametrize("p", [-0.1, 1.01, float("nan"), np.float32(2)])
def test_min_ps_out_of_range_are_refused(p):
    with pytest.raises(InputError, match=r"min_p must be in \[0, 1\], got"):
        MinP(p)


@pytest.mark.parametrize("strategy", [Temperature(0.5), TopK(3), TopP(0.9), MinP(0.1)])
def test_settings_are_leaves_of_a_pytree_and_cannot_be_changed(strategy):
    (field,) = dataclasses.fields(strategy)
    assert jax.tree.leaves(strategy) == [getattr(strategy, field.name)]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(strategy, field.name, 1)

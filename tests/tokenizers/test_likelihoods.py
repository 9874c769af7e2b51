"""What decoders say of pixels, against float64: sums to one, tails, gradients, and by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from pixelprior.grid import Grid
from pixelprior.tokenizers.likelihoods import LIKELIHOODS, DiscretizedLogistic, Gaussian, as_pixels

LEVELS = [2, 17, 256]
# Far beyond both ends, at the ends, between levels, and on one of them for 2, 17 and 256 levels.
MEANS = [-5.0, -0.1, 0.0, 0.25, 0.3, 1.0, 1.3, 5.0]
# From narrower than is allowed to wider than is allowed, through 0, a scale of 0.1.
RAWS = [-40.0, -9.0, -4.0, -2.0, 0.0, 1.0, 3.3, 40.0]


def every_symbol(levels):
    """One picture per pair of mean and scale; each has every symbol once, side by side."""
    means, raws = (x.ravel() for x in np.meshgrid(MEANS, RAWS))
    parameters = np.stack([means, raws], axis=-1).astype(np.float32)
    parameters = np.broadcast_to(parameters[:, None, None, :], (len(means), 1, levels, 2))
    x = np.broadcast_to(np.arange(levels, dtype=np.int32)[:, None], (len(means), 1, levels, 1))
    return jnp.asarray(parameters), jnp.asarray(x)


@functools.partial(jax.jit, static_argnames="likelihood")
def log_probs(likelihood, parameters, x):
    """Of every symbol by itself: each is a picture of one pixel."""
    single = parameters.reshape(-1, 1, 1, parameters.shape[-1]), x.reshape(-1, 1, 1, x.shape[-1])
    return likelihood.log_prob(*single).reshape(x.shape[:-1])


@functools.partial(jax.jit, static_argnames="likelihood")
def gradient(likelihood, parameters, x):
    return jax.grad(lambda p: likelihood.log_prob(p, x).sum())(parameters)


def scales(raw, levels):
    return np.exp(np.clip(np.float64(raw) + np.log(0.1), -np.log(100.0 * (levels - 1)), 1.0))


def numpy_probabilities(mean, scale, levels):
    """Differences of the logistic's distribution function, the tails at the ends."""
    edges = (np.arange(levels - 1) + 0.5) / (levels - 1)
    below = np.concatenate([[0.0], expit((edges - mean) / scale), [1.0]])
    above = np.concatenate([[1.0], expit((mean - edges) / scale), [0.0]])
    # The same difference from the other end, where this one is exact and the first one is not.
    return np.where(below[1:] < 0.5, np.diff(below), -np.diff(above))


@pytest.mark.parametrize("levels", LEVELS)
def test_a_discretized_logistic_is_a_distribution_over_all_levels(levels):
    likelihood = DiscretizedLogistic(Grid(1, 1, 1, levels))
    parameters, x = every_symbol(levels)
    log_p = np.asarray(log_probs(likelihood, parameters, x), np.float64)[:, 0]
    assert np.isfinite(log_p).all() and (log_p <= 1e-6).all()
    # Of large negative terms in float32, each rounded once: relative to their size.
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1.0, rtol=1e-4)
    for row, (mean, raw) in zip(log_p, np.asarray(parameters)[:, 0, 0], strict=True):
        scale = scales(raw, levels)
        wanted = numpy_probabilities(np.float64(mean), scale, levels)
        # x - mean is rounded, then magnified by 1 / scale, of up to 25500.
        np.testing.assert_allclose(np.exp(row), wanted, rtol=1e-4, atol=1e-6 / scale)
        seen = wanted > 1e-300
        tolerance = dict(rtol=1e-5, atol=1e-6 / scale + 1e-5)
        np.testing.assert_allclose(row[seen], np.log(wanted[seen]), **tolerance)


@pytest.mark.parametrize("levels", LEVELS)
def test_its_gradient_is_finite_everywhere_and_that_of_float64(levels):
    likelihood = DiscretizedLogistic(Grid(1, levels, 1, levels))
    parameters, x = every_symbol(levels)
    found = np.asarray(gradient(likelihood, parameters, x))
    assert np.isfinite(found).all()
    # Where probabilities are neither tiny nor the scale at its limits, by central differences.
    mean, raw, step = 0.3, 0.0, 1e-5
    place = MEANS.index(mean) + len(MEANS) * RAWS.index(raw)

    def log_p(mean, raw):
        return np.log(numpy_probabilities(mean, scales(raw, levels), levels))

    by_mean = (log_p(mean + step, raw) - log_p(mean - step, raw)) / (2 * step)
    by_raw = (log_p(mean, raw + step) - log_p(mean, raw - step)) / (2 * step)
    wanted = np.stack([by_mean, by_raw], axis=-1)
    np.testing.assert_allclose(found[place, 0], wanted, rtol=1e-3, atol=1e-4)
    # Far below, every symbol but the lowest pulls the mean up, up to 1 / scale: a likelihood that
    # rounded to zero would not.
    far = np.asarray(parameters[:, 0, 0, 0]) == -5.0
    wanted = 1 / scales(parameters[far, 0, 0, 1], levels)
    assert (found[far, 0, 1:, 0] > 0).all()
    narrow = wanted > 3
    wanted = np.broadcast_to(wanted[narrow, None], (narrow.sum(), levels - 1))
    np.testing.assert_allclose(found[far][narrow, 0, 1:, 0], wanted, rtol=1e-3)


def test_a_picture_is_the_product_of_its_symbols_and_each_channel_has_its_own_parameters():
    grid = Grid(2, 3, 3, 17)
    likelihood = DiscretizedLogistic(grid)
    assert likelihood.num_parameters == 6
    rng = np.random.default_rng(0)
    parameters = rng.normal(size=(4, 2, 3, 6)).astype(np.float32)
    x = rng.integers(0, 17, (4, *grid.shape)).astype(np.int32)
    wanted = np.zeros(4)
    for n, i, j, c in np.ndindex(x.shape):
        mean, raw = np.float64(parameters[n, i, j, c]), parameters[n, i, j, 3 + c]
        wanted[n] += np.log(numpy_probabilities(mean, scales(raw, 17), 17)[x[n, i, j, c]])
    found = likelihood.log_prob(jnp.asarray(parameters), jnp.asarray(x))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    np.testing.assert_array_equal(likelihood.mean(jnp.asarray(parameters)), parameters[..., :3])
    # Nats per dimension; the variance plays no part.
    loss = likelihood.loss(jnp.asarray(parameters), jnp.asarray(x), 123.0)
    np.testing.assert_allclose(loss, -wanted.mean() / 18, rtol=1e-5)


def test_the_gaussian_loss_by_hand():
    likelihood = Gaussian(Grid(1, 2, 1, 5))
    assert likelihood.num_parameters == 1
    x = jnp.asarray([[[[0], [3]]], [[[4], [2]]]], jnp.int32)  # 0, 0.75; 1, 0.5
    parameters = jnp.asarray([[[[0.5], [0.75]]], [[[-1.0], [0.0]]]])
    # (0.25 + 0 + 4 + 0.25) / 4, over a variance of 0.5.
    assert float(likelihood.loss(parameters, x, 0.5)) == 2.25
    np.testing.assert_array_equal(likelihood.mean(parameters), parameters)


def test_predicting_the_mean_pixel_costs_one_whatever_the_data():
    x = np.random.default_rng(0).integers(0, 256, (50, 2, 3, 1)).astype(np.int32)
    pixels = x / 255.0
    mean, variance = pixels.mean(axis=0), pixels.var(axis=0).mean()
    parameters = jnp.asarray(np.broadcast_to(mean, x.shape), jnp.float32)
    loss = Gaussian(Grid(2, 3, 1, 256)).loss(parameters, jnp.asarray(x), float(variance))
    np.testing.assert_allclose(loss, 1.0, rtol=1e-5)


def test_pixels_of_symbols_reach_from_0_to_1():
    x = jnp.arange(5).reshape(1, 1, 5, 1)
    np.testing.assert_array_equal(as_pixels(x, Grid(1, 5, 1, 5)).ravel(), [0, 0.25, 0.5, 0.75, 1])


@pytest.mark.parametrize("make", LIKELIHOODS.values())
def test_equal_likelihoods_are_one_to_the_compiler(make):
    one, same, other = make(Grid(2, 2, 1, 5)), make(Grid(2, 2, 1, 5)), make(Grid(2, 2, 1, 6))
    assert one == same and hash(one) == hash(same) and one != other
    assert len({Gaussian(Grid(2, 2, 1, 5)), DiscretizedLogistic(Grid(2, 2, 1, 5))}) == 2
    call = jax.jit(lambda likelihood, p: likelihood.mean(p), static_argnums=0)
    p = jnp.zeros((1, 2, 2, 2))
    for likelihood in (one, same, other):
        call(likelihood, p)
    assert call._cache_size() == 2

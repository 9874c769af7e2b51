"""The logistic mixture head against float64, normalised and with finite gradients at extremes."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.special import expit, log_expit, logsumexp

from pixelprior import Grid
from pixelprior.errors import InputError
from pixelprior.nn.logistic_mixture_head import LogisticMixtureHead
from pixelprior.sampling.draw import draw_pixel

D, HIDDEN = 4, 5


@functools.cache
def graph_and_shapes(channels, levels, mixtures):
    grid = Grid(1, 1, channels, levels)
    # Only traced, then filled: drawing real initial weights would compile.
    return nnx.split(
        nnx.eval_shape(
            lambda: LogisticMixtureHead(
                grid, D, hidden_features=HIDDEN, num_mixtures=mixtures, rngs=nnx.Rngs(0)
            )
        )
    )


def make(channels, levels, mixtures=3, scale=1.0, seed=0):
    graph, shapes = graph_and_shapes(channels, levels, mixtures)
    rng = np.random.default_rng(seed)
    return nnx.merge(
        graph,
        jax.tree.map(lambda s: jnp.asarray(scale * rng.normal(size=s.shape), s.dtype), shapes),
    )


def with_parameters(channels, levels, parameters):
    """A head that gives these parameters [rows, m] whatever the features: they are its biases."""
    parameters = np.asarray(parameters, np.float32)
    head = make(channels, levels, parameters.shape[-1], scale=0.0)
    assert head.output.bias.shape == (parameters.size,)
    head.output.bias = nnx.Param(jnp.asarray(parameters.ravel()))
    return head


@jax.jit
def log_prob(head, features, pixel):
    return head.log_prob(features, pixel)


@jax.jit
def logits(head, features, earlier):
    return head.logits(features, earlier)


@jax.jit
def gradients(head, features, pixel):
    """Of the parameters that the head gives, and of the features."""
    return jax.grad(lambda h, f: h.log_prob(f, pixel).sum(), argnums=(0, 1))(head, features)


def random_features(n):
    return np.random.default_rng(1).normal(size=(n, D)).astype(np.float32)


# The definition, in float64.


def numpy_parameters(head, features):
    y = np.maximum(np.float64(features), 0) @ np.float64(head.hidden.kernel[...])
    y = np.maximum(y + np.float64(head.hidden.bias[...]), 0)
    y = y @ np.float64(head.output.kernel[...]) + np.float64(head.output.bias[...])
    return y.reshape(*y.shape[:-1], -1, head.num_mixtures)


def numpy_log_mass(symbol, mean, scale, levels):
    """log(F(right edge) - F(left edge)) of a logistic's distribution function F."""
    edge = 1.0 / (levels - 1)
    x = 2.0 * symbol / (levels - 1) - 1.0
    if symbol == 0:
        return log_expit((x + edge - mean) / scale)
    if symbol == levels - 1:
        return log_expit(-(x - edge - mean) / scale)
    # On the right of the mean, the same by symmetry: differences of small numbers are exact.
    left, right = sorted([(x - edge - mean) / scale, (x + edge - mean) / scale])
    if left > 0:
        left, right = -right, -left
    if right < -30:  # exp(a) is all there is of F there, and both may be below the least number
        return right + np.log1p(-np.exp(left - right))
    return np.log(expit(right) - expit(left))


def numpy_log_prob(parameters, pixel, levels):
    """The sum over the components, of weight and product over channels, equations 1 to 3."""
    channels, mixtures = len(pixel), parameters.shape[-1]
    values = 2.0 * np.float64(pixel) / (levels - 1) - 1.0
    weights, rest = parameters[0], parameters[1:]
    means, log_scales = rest[:channels], rest[channels : 2 * channels]
    coefficients = iter(rest[2 * channels :])
    couplings = {(c, k): next(coefficients) for c in range(channels) for k in range(c)}
    terms = []
    for m in range(mixtures):
        total = weights[m] - logsumexp(weights)
        for c in range(channels):
            mean = means[c, m] + sum(np.tanh(couplings[c, k][m]) * values[k] for k in range(c))
            scale = np.exp(np.clip(log_scales[c, m], np.log(0.1 / (levels - 1)), 3.0))
            total += numpy_log_mass(pixel[c], mean, scale, levels)
        terms.append(total)
    return logsumexp(terms)


CASES = [(1, 2), (1, 256), (2, 5), (3, 17), (3, 256)]


@pytest.mark.parametrize(("channels", "levels"), CASES)
def test_log_prob_against_float64(channels, levels):
    head, n = make(channels, levels), 300
    features = random_features(n)
    pixel = np.random.default_rng(2).integers(0, levels, (n, channels)).astype(np.int32)
    # Edges, where the formula is another one, in every combination with what is not one.
    ends = np.array(list(itertools.product([0, levels - 1, levels // 2], repeat=channels)))
    pixel[: len(ends)] = ends
    parameters = numpy_parameters(head, features)
    wanted = [numpy_log_prob(*pair, levels) for pair in zip(parameters, pixel, strict=True)]
    found = log_prob(head, features, pixel)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


MEANS = [-50.0, -1.3, -1.0, -0.3, 0.0, 1 / 255, 0.7, 1.0, 1.1, 300.0]
LOG_SCALES = [-60.0, -7.0, -5.0, -4.0, -2.0, 0.0, 2.9, 60.0]
WEIGHTS = [(0.0, 0.0), (80.0, 0.0), (-3.0, 3.0), (0.0, 1e4)]


def extreme_parameters():
    """[cases, 4 rows (weight, mean, log-scale), 2 components] of a head of one channel."""
    cases = []
    for (mean, log_scale), weights in itertools.product(
        itertools.product(MEANS, LOG_SCALES), WEIGHTS
    ):
        # The other component is an ordinary one, or as extreme on the other side.
        for other in ((0.1, -3.0), (-mean, -log_scale)):
            cases.append([weights, (mean, other[0]), (log_scale, other[1])])
    return np.float32(cases)


def by_case(channels, levels, parameters, function):
    """``function(head)`` for each case's parameters, as one program."""
    graph, weights = nnx.split(with_parameters(channels, levels, parameters[0]))

    @jax.jit
    @jax.vmap
    def of(parameters):
        head = nnx.merge(graph, weights)
        head.output.bias = nnx.Param(parameters.ravel())
        return function(head)

    return of(jnp.asarray(parameters))


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_sums_to_one_and_is_right_at_extreme_parameters(levels):
    parameters = extreme_parameters()
    features, pixels = jnp.zeros((levels, D)), jnp.arange(levels)[:, None]
    found = by_case(1, levels, parameters, lambda head: head.log_prob(features, pixels))
    of_logits = by_case(1, levels, parameters, lambda head: head.logits(features[0], pixels[0, :0]))
    for log_p in (found, of_logits):
        log_p = np.asarray(log_p, np.float64)
        assert np.isfinite(log_p).all() and (log_p <= 1e-6).all()
        np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1.0, rtol=0, atol=1e-5)
    some = np.random.default_rng(0).choice(levels, min(levels, 12), replace=False)
    for symbol in {0, 1, levels - 1, *some.tolist()}:
        wanted = [numpy_log_prob(p, [symbol], levels) for p in np.float64(parameters)]
        # The mean is rounded when it is turned into levels, and the distance from it, magnified by
        # up to 20, is what an edge's probability depends on: 2e-5 * 20 for means of 300.
        inside = (np.abs(parameters[:, 1]) <= 1.3).all(axis=1)
        ours = np.asarray(found)[:, symbol]
        np.testing.assert_allclose(ours[inside], np.array(wanted)[inside], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("levels", [2, 256])
def test_gradients_are_finite_at_extreme_parameters(levels):
    parameters = extreme_parameters()
    features, pixels = jnp.zeros((levels, D)), jnp.arange(levels)[:, None]

    def gradient(head):
        return gradients(head, features, pixels)[0].output.bias[...]

    found = np.asarray(by_case(1, levels, parameters, gradient))
    assert np.isfinite(found).all()
    # Zero only where two components pull against each other, or one of them has all mass.
    assert (found != 0).any(axis=1).mean() > 0.9


@pytest.mark.parametrize("size", [0.0, 1e-20, 1e3, 1e8])
def test_gradients_are_finite_for_extreme_features(size):
    head, signs = make(3, 256), np.sign(random_features(64))
    pixel = np.random.default_rng(2).choice([0, 1, 128, 254, 255], (64, 3)).astype(np.int32)
    features = jnp.asarray(size * signs)
    assert np.isfinite(log_prob(head, features, pixel)).all()
    for gradient in jax.tree.leaves(gradients(head, features, pixel)):
        assert np.isfinite(gradient).all()


def test_the_gradient_is_that_of_float64():
    levels, step = 256, 1e-5
    rng = np.random.default_rng(3)
    parameters = rng.normal(size=(1 + 3 + 3 + 3, 2))
    parameters[4:7] -= 2.0
    parameters = np.float64(np.float32(parameters))
    head = with_parameters(3, levels, parameters)
    for pixel in ([0, 128, 255], [37, 0, 200], [255, 254, 1]):
        found = gradients(head, jnp.zeros(D), jnp.array(pixel))[0].output.bias[...]
        wanted = []
        for n in range(parameters.size):
            up, down = (
                parameters + sign * step * np.eye(parameters.size)[n].reshape(parameters.shape)
                for sign in (1, -1)
            )
            difference = numpy_log_prob(up, pixel, levels) - numpy_log_prob(down, pixel, levels)
            wanted.append(difference / (2 * step))
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("channels", "levels"), CASES)
def test_log_prob_is_the_sum_of_the_conditionals(channels, levels):
    head, n = make(channels, levels), 300
    features = random_features(n)
    pixel = np.random.default_rng(2).integers(0, levels, (n, channels)).astype(np.int32)
    total = 0
    for channel in range(channels):
        conditional = np.asarray(logits(head, features, pixel[:, :channel]))
        # They are log-masses as they are, with nothing to divide by.
        np.testing.assert_allclose(np.exp(np.float64(conditional)).sum(axis=-1), 1, atol=1e-5)
        total = total + np.take_along_axis(conditional, pixel[:, channel, None], axis=-1)[:, 0]
    np.testing.assert_allclose(log_prob(head, features, pixel), total, rtol=1e-5, atol=1e-5)


def test_sampled_pixels_have_the_probabilities_of_log_prob():
    levels, channels, n = 4, 3, 40_000
    head = make(channels, levels, scale=0.7)
    features = jnp.broadcast_to(random_features(1), (n, D))
    noise = jax.random.uniform(jax.random.key(0), (n, channels))
    pixel = np.asarray(jax.jit(lambda h, f, u: draw_pixel(h, f, u, ()))(head, features, noise))
    everything = np.array(list(itertools.product(range(levels), repeat=channels)), np.int32)
    p = np.exp(np.float64(log_prob(head, features[: len(everything)], everything)))
    place = levels ** np.arange(channels)[::-1]
    counts = np.bincount(pixel @ place, minlength=len(everything))
    # Five standard deviations of each count, and one for counts of what hardly ever comes.
    np.testing.assert_array_less(np.abs(counts - n * p), 5 * np.sqrt(n * p) + 1)
    assert np.sqrt(((p - 1 / len(p)) ** 2).sum()) > 0.05  # not uniform, which would hide errors


def test_it_computes_in_float32_whatever_the_features_are():
    head, features = make(3, 256), jnp.asarray(random_features(8), jnp.bfloat16)
    pixel = np.random.default_rng(2).integers(0, 256, (8, 3)).astype(np.int32)
    rounded = features.astype(jnp.float32)
    for found, wanted in (
        (log_prob(head, features, pixel), log_prob(head, rounded, pixel)),
        (logits(head, features, pixel[:, :2]), logits(head, rounded, pixel[:, :2])),
    ):
        assert found.dtype == jnp.float32
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("mixtures", [1, 2, 10])
def test_a_fresh_head_is_close_to_uniform(mixtures):
    head = LogisticMixtureHead(
        Grid(1, 1, 3, 256), D, hidden_features=HIDDEN, num_mixtures=mixtures, rngs=nnx.Rngs(0)
    )
    pixel = np.random.default_rng(2).integers(0, 256, (2000, 3)).astype(np.int32)
    bits = -np.asarray(log_prob(head, random_features(2000), pixel)).mean() / np.log(2) / 3
    # A logistic is no uniform distribution, so it costs a little more.
    assert 8 < bits < 8.5


def test_a_mixture_of_nothing_is_refused():
    with pytest.raises(InputError, match="at least 1, got 0"):
        make(1, 2, mixtures=0)

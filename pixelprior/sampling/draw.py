"""The one place where chance comes in: noise per symbol, and symbols from logits and noise.

Legend: b batch, h height, w width, c channels, d features, v levels, n any leading axes.
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
    """One uniform variate in [0, 1) per symbol.

    It depends on the key, the number of the image and the position alone: so image n of a key is
    the same picture in every batch, on any number of devices, and for every sampler.
    """
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, images)
    return jax.vmap(lambda k: jax.random.uniform(k, grid.shape))(keys)


def draw_symbol(logits: Float[Array, "*n v"], noise: Float[Array, "*n"]) -> Int[Array, "*n"]:
    """The level at which the cumulative distribution passes the noise (inverse transform).

    One variate per symbol, where the Gumbel-max trick would take one per level: a 256-level pixel
    costs 256 times less randomness, and a slightly different distribution moves the symbol to a
    neighbouring level at most.
    """
    # Unnormalised, in float32, shifted by the largest logit: nothing over- or underflows but what
    # has no chance to be drawn.
    mass = jnp.exp(logits - logits.max(axis=-1, keepdims=True)).astype(jnp.float32)
    cumulative = jnp.cumsum(mass, axis=-1)
    target = noise[..., None] * cumulative[..., -1:]
    # Sums of many levels are added up in parts, so rounding may raise or lower the cumulative at a
    # level without any mass, and no level may pass noise close to 1: so only levels with mass
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
    """Draws a pixel channel by channel, each given those before it; takes what is given."""
    pixel = jnp.zeros((*noise.shape[:-1], 0), jnp.int32)
    for channel in range(noise.shape[-1]):
        logits = apply_strategies(strategies, head.logits(features, pixel))
        symbol = draw_symbol(logits, noise[..., channel])
        if given is not None:
            symbol = jnp.where(given[..., channel] == OUTSIDE, symbol, given[..., channel])
        pixel = jnp.concatenate([pixel, symbol[..., None]], axis=-1)
    return pixel

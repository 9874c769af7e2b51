"""Symbols as vectors.

Legend: n any leading axes, c channels, v levels, d features.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

OUTSIDE = -1
"""The symbol of a place outside the grid; its embedding is zero."""


class SymbolEmbedding(nnx.Module):
    """The sum over the channels of one learned vector per (channel, level).

    The tables start as straight lines, ``value * direction`` with the value running from -1 to 1
    over the levels: neighbouring intensities of a picture are neighbours from the first step on,
    and 256 levels need not be learned one by one. Codes, which have no order, unlearn it.
    """

    def __init__(self, channels: int, levels: int, d: int, *, rngs: nnx.Rngs):
        values = jnp.linspace(-1.0, 1.0, levels)[None, :, None]
        direction_key, noise_key = jax.random.split(rngs.params())
        directions = jax.random.normal(direction_key, (channels, 1, d))
        noise = 0.1 * jax.random.normal(noise_key, (channels, levels, d))
        self.table = nnx.Param((values * directions + noise) / jnp.sqrt(channels))

    @property
    def features(self) -> int:
        """Size of a vector."""
        return self.table.shape[-1]

    def __call__(self, symbols: Int[Array, "*n c"]) -> Float[Array, "*n d"]:
        """Embeds symbols in ``[0, levels)``; `OUTSIDE` gives zeros."""
        table = self.table[...]
        channels, levels, d = table.shape
        # A gather, not a product with one-hot vectors: those would be `levels` times as large as
        # the grid itself.
        places = symbols + levels * jnp.arange(channels, dtype=symbols.dtype)
        vectors = table.reshape(-1, d)[jnp.maximum(places, 0)]
        return jnp.where(symbols[..., None] == OUTSIDE, 0.0, vectors).sum(axis=-2)

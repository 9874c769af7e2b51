"""Symbols as vectors.

Legend: n any leading axes, c channels, v levels, d features.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.nn.initializers import normal, on_host

OUTSIDE = -1
"""The symbol of a place outside the grid; its embedding is zero."""


class SymbolEmbedding(nnx.Module):
    """The sum over the channels of one learned vector per (channel, level).

    The tables start as straight lines, ``value * direction`` with the value running from -1 to 1
    over the levels: neighbouring intensities of a picture are neighbours from the first step on,
    and 256 levels need not be learned one by one. Codes, which have no order, unlearn it.
    """

    def __init__(self, channels: int, levels: int, d: int, *, rngs: nnx.Rngs):
        values = on_host(jnp.linspace(-1.0, 1.0, levels))[None, :, None]
        direction_key, noise_key = jax.random.split(rngs.params())
        directions = normal(direction_key, (channels, 1, d))
        noise = 0.1 * normal(noise_key, (channels, levels, d))
        # A product, as XLA makes it of a quotient.
        share = np.float32(1.0) / np.sqrt(np.float32(channels))
        table = (values * directions + noise) * share
        self.table = nnx.Param(jnp.asarray(table, jnp.float32))

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

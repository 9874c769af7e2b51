"""Embedding of symbols as vectors.

Legend: n any leading axes, c channels, v values per symbol, d features.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.nn.initializers import normal, on_host

OUTSIDE = -1
"""Symbol of a position outside the grid; its embedding is zero."""


class SymbolEmbedding(nnx.Module):
    """Sum over the channels of one learned vector per channel and value.

    Each table starts as a straight line ``value * direction``, with values from -1 to 1, plus
    noise. Neighbouring intensities are neighbours from the first step on, and 256 values are not
    learned one by one. Codes have no order, and training removes the initial order for them.
    """

    def __init__(self, channels: int, levels: int, d: int, *, rngs: nnx.Rngs):
        values = on_host(jnp.linspace(-1.0, 1.0, levels))[None, :, None]
        direction_key, noise_key = jax.random.split(rngs.params())
        directions = normal(direction_key, (channels, 1, d))
        noise = 0.1 * normal(noise_key, (channels, levels, d))
        # A product, because XLA replaces a quotient by a product with the reciprocal.
        share = np.float32(1.0) / np.sqrt(np.float32(channels))
        table = (values * directions + noise) * share
        self.table = nnx.Param(jnp.asarray(table, jnp.float32))

    @property
    def features(self) -> int:
        """Size of a vector."""
        return self.table.shape[-1]

    def __call__(self, symbols: Int[Array, "*n c"]) -> Float[Array, "*n d"]:
        """Embed symbols in ``[0, levels)``; `OUTSIDE` gives zeros."""
        table = self.table[...]
        channels, levels, d = table.shape
        # A gather, because one-hot vectors for a product would be `levels` times as large as the
        # grid itself.
        places = symbols + levels * jnp.arange(channels, dtype=symbols.dtype)
        vectors = table.reshape(-1, d)[jnp.maximum(places, 0)]
        return jnp.where(symbols[..., None] == OUTSIDE, 0.0, vectors).sum(axis=-2)

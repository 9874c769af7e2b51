"""Head for any symbols, ordered or not.

Legend: n any leading axes, d features, c channels, v values per symbol, u hidden units.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.grid import Grid
from pixelprior.nn.embedding import SymbolEmbedding
from pixelprior.nn.head import Head
from pixelprior.nn.initializers import linear


class SoftmaxHead(Head):
    """Categorical distribution over all values, for each channel.

    Reference: van den Oord et al. 2016a, section 2.2 and table 1. The layers per channel are relu,
    1x1, relu, 1x1, as in the paper. The known channels enter the hidden layer as embeddings. The
    paper instead splits the features of the whole network into groups of channels and masks them.
    Here the network below the head runs once per pixel, not once per channel.
    """

    def __init__(self, grid: Grid, d: int, *, hidden_features: int, rngs: nnx.Rngs):
        self.grid = grid
        self.hidden = nnx.List(
            [linear(d, hidden_features, rngs=rngs) for _ in range(grid.channels)]
        )
        self.earlier = nnx.List(
            [
                SymbolEmbedding(channel, grid.levels, hidden_features, rngs=rngs)
                for channel in range(1, grid.channels)
            ]
        )
        self.output = nnx.List(
            [linear(hidden_features, grid.levels, rngs=rngs) for _ in range(grid.channels)]
        )

    def logits(
        self, features: Float[Array, "*n d"], earlier: Int[Array, "*n k"]
    ) -> Float[Array, "*n v"]:
        """See `Head.logits`."""
        channel = earlier.shape[-1]
        hidden = self.hidden[channel](jax.nn.relu(features))
        if channel > 0:
            hidden = hidden + self.earlier[channel - 1](earlier)
        return self.output[channel](jax.nn.relu(hidden))

    def log_prob(
        self, features: Float[Array, "*n d"], pixel: Int[Array, "*n c"]
    ) -> Float[Array, "*n"]:
        """See `Head.log_prob`."""
        total = jnp.zeros(pixel.shape[:-1])
        for channel in range(self.grid.channels):
            logits = self.logits(features, pixel[..., :channel])
            chosen = jnp.take_along_axis(logits, pixel[..., channel, None], axis=-1)[..., 0]
            total = total + chosen - jax.nn.logsumexp(logits, axis=-1)
        return total

"""Input features for attention: near symbols, the row above's last symbol, and the position.

Legend: b batch, h height, w width, c embedded features in, d features out.
"""

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int

from pixelprior.grid import Grid
from pixelprior.nn.causal import shift_down
from pixelprior.nn.initializers import linear, normal
from pixelprior.nn.masked_conv import MaskedConv


class RasterStem(nnx.Module):
    """Masked convolution that excludes its own position, plus learned position embeddings.

    A feature depends only on symbols before its own position. The features of the row above
    therefore do not contain the last symbol of that row. In the current row, a narrow convolution
    reaches this symbol only if it is near. The stem adds it to every position of the current row.
    Attention can then reach all earlier symbols from every position.

    Args:
        grid: grid whose rows and columns have learned embeddings.
        kernel_size: size of the convolution's kernel; odd.
        d: number of features of an embedded symbol.
        e: number of features out.
        rngs: random number generators for the initial weights.
    """

    def __init__(self, grid: Grid, kernel_size: int, d: int, e: int, *, rngs: nnx.Rngs):
        self.conv = MaskedConv("A", kernel_size, d, e, rngs=rngs)
        self.last = linear(d, e, use_bias=False, rngs=rngs)
        self.rows = learned_places(grid.height, e, rngs)
        self.columns = learned_places(grid.width, e, rngs)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
        """Apply the stem to whole grids."""
        places = self.rows[...][:, None] + self.columns[...]
        return self.conv(x) + self.last(shift_down(x)[:, :, -1:]) + places

    def init_cache(self, batch: int) -> Float[Array, "b r w c"]:
        """Return the ``past`` that `start_row` needs for the first row: zeros."""
        return self.conv.init_cache(batch, self.columns.shape[0])

    def start_row(
        self,
        above: Float[Array, "b 1 w c"],
        past: Float[Array, "b r w c"],
        row: Int[Array, ""],
    ) -> tuple[Float[Array, "b 1 w d"], Float[Array, "b 1 s c"], Float[Array, "b r w c"]]:
        """Start a row, given the row above it and the past of that row.

        Returns:
            The contribution of the rows above and of the embeddings to each position, the state
            before column 0, and the past for the next row.
        """
        convolved, left, past = self.conv.start_row(above, past)
        place = lax.dynamic_index_in_dim(self.rows[...], row, keepdims=False) + self.columns[...]
        return convolved + self.last(above[:, :, -1:]) + place, left, past

    def step(
        self,
        previous: Float[Array, "b 1 k c"],
        above: Float[Array, "b 1 k d"],
        left: Float[Array, "b 1 s c"],
    ) -> tuple[Float[Array, "b 1 k d"], Float[Array, "b 1 s c"]]:
        """Return the stem at some columns, and the state after them.

        ``previous`` holds the embedded symbol to the left of each of these columns.
        """
        return self.conv.step(previous, above, left)


def learned_places(count: int, e: int, rngs: nnx.Rngs) -> nnx.Param:
    """Return a learned vector for each row, or for each column."""
    return nnx.Param(jnp.asarray(0.1 * normal(rngs.params(), (count, e)), jnp.float32))

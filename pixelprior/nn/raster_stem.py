"""What a position knows before any attention: its place, what is nearby, and what came last.

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
    """A masked convolution that does not see its own position, and a learned place.

    Attention that looks at and before a position cannot know the last symbol of the row above
    from the row's own features, since none of them is to its right: a narrow convolution reaches it
    only where that symbol is near. So every position of a row is told the last symbol of the row
    above, and then all earlier symbols can be seen from everywhere.

    Args:
        grid: whose rows and columns have learned places.
        kernel_size: of the convolution (odd).
        d: features of an embedded symbol.
        e: features out.
        rngs: where the initial weights come from.
    """

    def __init__(self, grid: Grid, kernel_size: int, d: int, e: int, *, rngs: nnx.Rngs):
        self.conv = MaskedConv("A", kernel_size, d, e, rngs=rngs)
        self.last = linear(d, e, use_bias=False, rngs=rngs)
        self.rows = _places(grid.height, e, rngs)
        self.columns = _places(grid.width, e, rngs)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
        """The stem over whole grids."""
        places = self.rows[...][:, None] + self.columns[...]
        return self.conv(x) + self.last(shift_down(x)[:, :, -1:]) + places

    def init_cache(self, batch: int) -> Float[Array, "b r w c"]:
        """What lies above the row above the first: zeros."""
        return self.conv.init_cache(batch, self.columns.shape[0])

    def start_row(
        self,
        above: Float[Array, "b 1 w c"],
        past: Float[Array, "b r w c"],
        row: Int[Array, ""],
    ) -> tuple[Float[Array, "b 1 w d"], Float[Array, "b 1 s c"], Float[Array, "b r w c"]]:
        """What the row above gives each position; the state before column 0; and the past."""
        convolved, left, past = self.conv.start_row(above, past)
        place = lax.dynamic_index_in_dim(self.rows[...], row, keepdims=False) + self.columns[...]
        return convolved + self.last(above[:, :, -1:]) + place, left, past

    def step(
        self,
        previous: Float[Array, "b 1 k c"],
        above: Float[Array, "b 1 k d"],
        left: Float[Array, "b 1 s c"],
    ) -> tuple[Float[Array, "b 1 k d"], Float[Array, "b 1 s c"]]:
        """Columns, given the embedded ones to their left; and the state after them."""
        return self.conv.step(previous, above, left)


def _places(count: int, e: int, rngs: nnx.Rngs) -> nnx.Param:
    return nnx.Param(jnp.asarray(0.1 * normal(rngs.params(), (count, e)), jnp.float32))

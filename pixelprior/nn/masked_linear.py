"""The masked fully connected layer of Germain et al. (2015, MADE, section 3).

Legend: b batch, h height, w width, d features in, e features out, k columns of a step.
"""

from collections.abc import Callable
from typing import Literal

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int

from pixelprior.grid import Grid
from pixelprior.nn.initializers import kernel, zeros
from pixelprior.nn.products import product


class MaskedLinear(nnx.Module):
    """Linear function of the features of all earlier pixels; every pair of pixels has its weights.

    Kind ``"A"`` excludes the own pixel, kind ``"B"`` includes it. This is the only layer of the
    package whose kernel is multiplied by a mask. The masked half is wasted, but a whole grid is one
    matrix product.

    A call of the module computes whole grids. A sampler finishes the rows above before it runs
    along a row. It passes all rows above to `start_row`, then some columns to `step`. For kind
    ``"A"`` these are the columns to the left of the wanted positions. For kind ``"B"`` they are the
    wanted positions themselves.

    Args:
        kind: see above.
        grid: its height and width are those of the layer's inputs.
        d: number of features in.
        e: number of features out.
        rngs: random number generators for the initial kernel.
        bias: the initial biases, as a function of their shape.
    """

    def __init__(
        self,
        kind: Literal["A", "B"],
        grid: Grid,
        d: int,
        e: int,
        *,
        rngs: nnx.Rngs,
        bias: Callable[..., Float[Array, "..."]] = zeros,
    ):
        self.sees_itself = kind == "B"
        self.height, self.width, _ = grid.shape
        pixels = self.height * self.width
        self.kernel = kernel(pixels * d, pixels * e, rngs=rngs)
        self.bias = nnx.Param(bias(self.height, self.width, e))

    def __call__(self, x: Float[Array, "b h w d"]) -> Float[Array, "b h w e"]:
        """Apply the layer to whole grids."""
        pixels = jnp.arange(self.height * self.width)
        seen = pixels[:, None] < pixels + self.sees_itself
        pairs = self.kernel[...].reshape(pixels.size, x.shape[-1], pixels.size, -1)
        masked = jnp.where(seen[:, None, :, None], pairs, 0.0).reshape(self.kernel.shape)
        y = product(x.reshape(len(x), -1), masked)
        return y.reshape(len(x), self.height, self.width, -1) + self.bias[...]

    def init_cache(self, batch: int) -> Float[Array, "b h w d"]:
        """Return the features of the grid before the first row: zeros."""
        d = self.kernel.shape[0] // (self.height * self.width)
        return jnp.zeros((batch, self.height, self.width, d), self.kernel.dtype)

    def start_row(
        self, x: Float[Array, "b h w d"], row: Int[Array, ""]
    ) -> tuple[
        tuple[Float[Array, "b 1 w e"], Float[Array, "w w*d*e"]],
        Float[Array, "b w d"],
    ]:
        """Start a row, given the features of the rows above it; those of later rows are zero.

        Returns:
            The first part is the contribution of the rows above to each position, with the weights
            of each position for its own row. The second part is the features of this row: zeros.
        """
        batch, h, w, d = x.shape
        to_row = lax.dynamic_index_in_dim(
            self.kernel[...].reshape(h, w * d, h, -1), row, axis=2, keepdims=False
        )
        above = x.reshape(batch, -1) @ to_row.reshape(h * w * d, -1)
        bias = lax.dynamic_index_in_dim(self.bias[...], row, keepdims=False)
        own = lax.dynamic_index_in_dim(to_row, row, keepdims=False).reshape(w, d, w, -1)
        if not self.sees_itself:
            # A position is given the pixel to its left, which is therefore in its own column.
            own = jnp.pad(own[:-1], ((1, 0), (0, 0), (0, 0), (0, 0)))
        columns = jnp.arange(w)
        own = jnp.where((columns[:, None] <= columns)[:, None, :, None], own, 0.0)
        own = jnp.moveaxis(own, 2, 0).reshape(w, -1)
        return (above.reshape(batch, 1, w, -1) + bias, own), jnp.zeros_like(x[:, 0])

    def step(
        self,
        x: Float[Array, "b 1 k d"],
        above: tuple[Float[Array, "b 1 k e"], Float[Array, "k w*d*e"]],
        left: Float[Array, "b w d"],
        column: Int[Array, ""],
    ) -> tuple[Float[Array, "b 1 k e"], Float[Array, "b w d"]]:
        """Return the layer at some columns, the first of which is ``column``, and the state."""
        terms, own = above
        left = lax.dynamic_update_slice_in_dim(left, x[:, 0], column, axis=1)
        own = own.reshape(len(own), -1, terms.shape[-1])
        y = jnp.einsum("bi,kie->bke", left.reshape(len(left), -1), own)
        return terms + y[:, None], left

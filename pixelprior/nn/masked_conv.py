"""The masked convolution of van den Oord et al. (2016a, section 3.4), without a mask.

Legend: b batch, h height, w width, d features in, e features out, k columns, r stored rows, s
stored columns.
"""

from typing import Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pixelprior.errors import InputError
from pixelprior.nn.causal import Above, Left, shift_down, shift_right
from pixelprior.nn.conditioning import EncodedContext, add_context, context_layer
from pixelprior.nn.initializers import zeros
from pixelprior.sizes import check_kernel_sizes


class MaskedConv(nnx.Module):
    """Square convolution over earlier positions in raster order.

    Kind ``"A"`` excludes its own position, kind ``"B"`` includes it. Both kinds are the sum of
    `Above` over the rows above and `Left` over the current row. The taps that a mask would set to
    zero do not exist. They cost nothing, and no gradient reaches them.

    A call of the module computes both parts for a whole grid. A sampler finishes the rows above
    before it runs along a row. It passes the row above to `start_row`, then some columns to `step`.
    For kind ``"A"`` these are the columns to the left of the wanted positions. For kind ``"B"``
    they are the wanted positions themselves.

    Raises:
        InputError: if ``kernel_size`` is even or below 3, or ``kind`` is neither "A" nor "B".
    """

    def __init__(
        self, kind: Literal["A", "B"], kernel_size: int, d: int, e: int, *, rngs: nnx.Rngs
    ):
        check_kernel_sizes(kernel_size=kernel_size)
        if kind not in ("A", "B"):
            raise InputError(f"kind must be 'A' (without its own position) or 'B', got {kind!r}")
        half = kernel_size // 2
        self.sees_itself = kind == "B"
        self.above = Above(half, kernel_size, d, e, rngs=rngs)
        self.left = Left(half + self.sees_itself, d, e, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w d"]) -> Float[Array, "b h w e"]:
        """Apply the convolution to whole grids."""
        b, h, w, _ = x.shape
        own_row = x if self.sees_itself else shift_right(x)
        above, _ = self.above(shift_down(x), self.above.init_past(b, w))
        left, _ = self.left(own_row, self.left.init_past(b, h))
        return above + left

    def init_cache(self, batch: int, width: int) -> Float[Array, "b r w d"]:
        """Return the ``past`` that `start_row` needs for the first row: zeros."""
        return self.above.init_past(batch, width)

    def start_row(
        self, row_above: Float[Array, "b 1 w d"], past: Float[Array, "b r w d"]
    ) -> tuple[Float[Array, "b 1 w e"], Float[Array, "b 1 s d"], Float[Array, "b r w d"]]:
        """Start a row, given the row above it and the past of that row.

        Returns:
            The contribution of the rows above to each position, the state before column 0, and the
            past for the next row.
        """
        above, past = self.above(row_above, past)
        return above, self.left.init_past(row_above.shape[0], 1), past

    def step(
        self,
        x: Float[Array, "b 1 k d"],
        above: Float[Array, "b 1 k e"],
        left: Float[Array, "b 1 s d"],
    ) -> tuple[Float[Array, "b 1 k e"], Float[Array, "b 1 s d"]]:
        """Return the convolution at some columns, and the state after them."""
        y, left = self.left(x, left)
        return y + above, left


class ConditionedConv(nnx.Module):
    """`MaskedConv` of kind "B" with a bias and a context; the base of residual blocks."""

    def __init__(self, kernel_size: int, d: int, *, context_features: int, rngs: nnx.Rngs):
        self.conv = MaskedConv("B", kernel_size, d, d, rngs=rngs)
        self.bias = nnx.Param(zeros(d))
        self.context = context_layer(context_features, d, rngs=rngs)

    def convolved(
        self, x: Float[Array, "b h w d"], context: EncodedContext
    ) -> Float[Array, "b h w d"]:
        """Apply the convolution to whole grids."""
        return self.conv(x) + self.condition(context)

    def condition(self, context: EncodedContext) -> Float[Array, "..."]:
        """Return the terms that do not depend on the symbols: the bias and the context."""
        return add_context(self.bias[...], self.context, context)

    def init_row(self, batch: int, width: int) -> Float[Array, "b 1 w d"]:
        """Return the convolution's input in the row above the first row: zeros."""
        return jnp.zeros((batch, 1, width, self.bias.shape[-1]), self.bias.dtype)

    def start_row(
        self,
        row_above: Float[Array, "b 1 w d"],
        past: Float[Array, "b r w d"],
        context: EncodedContext,
    ) -> tuple[Float[Array, "b 1 w d"], Float[Array, "b 1 s d"], Float[Array, "b r w d"]]:
        """See `MaskedConv.start_row`; adds the bias and the context."""
        above, left, past = self.conv.start_row(row_above, past)
        return above + self.condition(context), left, past

"""Blocks of PixelCNN++: a vertical and a horizontal stream, and one resolution of both.

Legend: b batch, h height, w width, d features, c features of the context.

Reference: Salimans et al. 2017 (PixelCNN++), sections 2.3 to 2.5 and figure 2. Details follow the
code published with the paper.
"""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pixelprior.nn.causal import Above
from pixelprior.nn.conditioning import EncodedContext, add_context, context_layer
from pixelprior.nn.dropout import Dropout
from pixelprior.nn.gates import concat_elu, gated_residual
from pixelprior.nn.image_keys import split_keys
from pixelprior.nn.initializers import linear, zeros
from pixelprior.nn.shifted_conv import DownRightConv, Downsample, Upsample
from pixelprior.nn.stack import Stack


class VerticalBlock(nnx.Module):
    """Gated residual block of the vertical stream: two convolutions of 2 rows and 3 columns."""

    def __init__(
        self, d: int, *, skips: bool, context_features: int, dropout_rate: float, rngs: nnx.Rngs
    ):
        self.input = Above(2, 3, 2 * d, d, rngs=rngs)
        self.input_bias = nnx.Param(zeros(d))
        self.skip = linear(2 * d, d, use_bias=False, rngs=rngs) if skips else None
        self.dropout = Dropout(dropout_rate)
        self.output = Above(2, 3, 2 * d, 2 * d, rngs=rngs)
        self.output_bias = nnx.Param(zeros(2 * d))
        self.context = context_layer(context_features, 2 * d, rngs=rngs)

    def init_pasts(self, batch: int, width: int) -> list[Float[Array, "b 1 w 2*d"]]:
        """Return the past of the first row, for each of the two convolutions: zeros."""
        return [self.input.init_past(batch, width), self.output.init_past(batch, width)]

    def __call__(
        self,
        v: Float[Array, "b h w d"],
        skip: Float[Array, "b h w d"] | None,
        pasts: list[Float[Array, "b 1 w 2*d"]],
        context: EncodedContext,
        dropout_key: Array | None = None,
    ) -> tuple[Float[Array, "b h w d"], list[Float[Array, "b 1 w 2*d"]]]:
        """Return the stream and the pasts of the rows that follow."""
        y, input_past = self.input(concat_elu(v), pasts[0])
        y = y + self.input_bias[...]
        if self.skip is not None and skip is not None:
            y = y + self.skip(concat_elu(skip))
        y = self.dropout(concat_elu(y), dropout_key)
        y, output_past = self.output(y, pasts[1])
        y = y + self.output_bias[...]
        y = add_context(y, self.context, context)
        return gated_residual(v, y), [input_past, output_past]


class HorizontalBlock(nnx.Module):
    """Gated residual block of the horizontal stream, which takes in the vertical stream.

    Its two convolutions are `DownRightConv`. The block runs over whole grids, or over some columns
    at a time. In the second case, `from_above` first does the work on the row above and on the
    vertical stream, for a whole row. Only the *inputs* of both convolutions have to be stored.
    """

    def __init__(
        self, d: int, *, skips: bool, context_features: int, dropout_rate: float, rngs: nnx.Rngs
    ):
        self.input = DownRightConv(2 * d, d, rngs=rngs)
        self.link = linear(2 * d, d, use_bias=False, rngs=rngs)
        self.skip = linear(2 * d, d, use_bias=False, rngs=rngs) if skips else None
        self.dropout = Dropout(dropout_rate)
        self.output = DownRightConv(2 * d, 2 * d, rngs=rngs)
        self.context = context_layer(context_features, 2 * d, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "b h w d"],
        v: Float[Array, "b h w d"],
        skip: Float[Array, "b h w d"] | None,
        context: EncodedContext,
        dropout_key: Array | None,
    ) -> Float[Array, "b h w d"]:
        """Apply the block to whole grids."""
        y = self.input(concat_elu(x)) + self.link(concat_elu(v))
        if self.skip is not None and skip is not None:
            y = y + self.skip(concat_elu(skip))
        y = self.dropout(concat_elu(y), dropout_key)
        y = self.output(y)
        y = add_context(y, self.context, context)
        return gated_residual(x, y)

    def init_inputs(self, batch: int, width: int) -> list[Float[Array, "b 1 w 2*d"]]:
        """Return the inputs of both convolutions above the grid, or to the left of it: zeros."""
        shapes = [conv.kernel.shape for conv in (self.input, self.output)]
        dtype = self.link.kernel.dtype
        return [jnp.zeros((batch, 1, width, shape[2]), dtype) for shape in shapes]

    def from_above(
        self,
        inputs: list[Float[Array, "b 1 w 2*d"]],
        v: Float[Array, "b 1 w d"],
        context: EncodedContext,
    ) -> list[Float[Array, "b 1 w e"]]:
        """Return the terms to add to each convolution, given the inputs in the row above."""
        first = self.input.from_above(inputs[0]) + self.link(concat_elu(v))
        second = self.output.from_above(inputs[1])
        second = add_context(second, self.context, context)
        return [first, second]

    def step(
        self,
        x: Float[Array, "b 1 k d"],
        skip: Float[Array, "b 1 k d"] | None,
        above: list[Float[Array, "b 1 k e"]],
        past: list[Float[Array, "b 1 1 2*d"]],
    ) -> tuple[Float[Array, "b 1 k d"], list[Float[Array, "b 1 k 2*d"]]]:
        """Return the block's result at some columns, and the inputs of both convolutions there.

        ``past`` holds the inputs in the column just to the left of them.
        """
        first = concat_elu(x)
        y = self.input.from_left(first, past[0]) + above[0]
        if self.skip is not None and skip is not None:
            y = y + self.skip(concat_elu(skip))
        second = concat_elu(y)
        y = self.output.from_left(second, past[1]) + above[1]
        return gated_residual(x, y), [first, second]


class Layer(nnx.Module):
    """One block of each stream."""

    def __init__(self, d: int, *, rngs: nnx.Rngs, **settings: Any):
        self.vertical = VerticalBlock(d, rngs=rngs, **settings)
        self.horizontal = HorizontalBlock(d, rngs=rngs, **settings)

    def __call__(
        self,
        streams: tuple[Float[Array, "b h w d"], Float[Array, "b h w d"]],
        skips: tuple[Any, Any],
        context: EncodedContext,
        dropout_key: Array | None,
    ) -> tuple[Float[Array, "b h w d"], Float[Array, "b h w d"]]:
        """Apply both blocks to whole grids."""
        (v, x), (v_skip, x_skip) = streams, skips
        v_key, x_key = split_keys(dropout_key, 2)
        pasts = self.vertical.init_pasts(v.shape[0], v.shape[2])
        v, _ = self.vertical(v, v_skip, pasts, context, v_key)
        return v, self.horizontal(x, v, x_skip, context, x_key)


class Scale(nnx.Module):
    """Layers of one resolution, on the downward and upward path, and steps to the next coarser one.

    Every layer of the upward path has a skip connection from the downward path. The upward path
    therefore has one layer for each result of the downward path: its input, and the result of each
    layer. At the coarsest resolution, the last result has no skip connection, because the upward
    path starts from it.
    """

    def __init__(
        self,
        d: int,
        *,
        num_blocks: int,
        coarsest: bool,
        context_features: int,
        dropout_rate: float,
        remat: bool,
        rngs: nnx.Rngs,
    ):
        def stack(depth: int, skips: bool) -> Stack[Layer]:
            return Stack(
                lambda rngs: Layer(
                    d,
                    skips=skips,
                    context_features=context_features,
                    dropout_rate=dropout_rate,
                    rngs=rngs,
                ),
                depth,
                remat=remat,
                rngs=rngs,
            )

        self.coarsest = coarsest
        self.down = stack(num_blocks, skips=False)
        self.up = stack(num_blocks if coarsest else num_blocks + 1, skips=True)
        if not coarsest:
            self.vertical_down = Downsample(d, d, rngs=rngs)
            self.horizontal_down = Downsample(d, d, rngs=rngs)
            self.vertical_up = Upsample(d, d, rngs=rngs)
            self.horizontal_up = Upsample(d, d, rngs=rngs)

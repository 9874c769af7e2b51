"""PixelCNN: a stack of masked convolutions.

Legend: b batch, h height, w width, c channels, d features, e features of an embedding, k columns of
a step.

The network is a 7x7 convolution that excludes its own position, then residual blocks [1, figure 5
and table 1]. A block reduces the features with a 1x1 convolution, applies a 3x3 convolution that
includes its own position, and expands with a 1x1 convolution. The model is simple, but it has a
blind spot: a triangle of pixels to the upper right that grows with the depth [2, figure 1].
`GatedPixelCNN` has no such blind spot.

Where we deviate from [1]:

- Taps that a mask would set to zero do not exist (see `MaskedConv`).
- Only the head conditions channels on each other (see `SoftmaxHead`).
- Context, which [1] does not have, enters each block as in [2, section 2.3].
- Symbols enter as learned embeddings, which suit codes as well as intensities.

[1] van den Oord et al. 2016a, Pixel Recurrent Neural Networks.
[2] van den Oord et al. 2016b, Conditional Image Generation with PixelCNN Decoders.
"""

from typing import Any, NamedTuple, Unpack

import jax
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.grid import Grid
from pixelprior.models.base import AutoregressiveModel, CommonSettings, Embedded, Features, row_of
from pixelprior.nn.conditioning import EncodedContext
from pixelprior.nn.dropout import Dropout
from pixelprior.nn.initializers import linear
from pixelprior.nn.masked_conv import ConditionedConv, MaskedConv


class ResidualBlock(ConditionedConv):
    """Residual block: relu, 1x1 to ``d`` features, relu, masked convolution, relu, 1x1 to ``2 d``.

    The result is added to the input.
    """

    def __init__(
        self,
        d: int,
        *,
        kernel_size: int,
        context_features: int,
        dropout_rate: float,
        rngs: nnx.Rngs,
    ):
        self.reduce = linear(2 * d, d, rngs=rngs)
        super().__init__(kernel_size, d, context_features=context_features, rngs=rngs)
        self.dropout = Dropout(dropout_rate)
        self.expand = linear(d, 2 * d, rngs=rngs)

    def hidden(self, x: Float[Array, "b h w 2*d"]) -> Float[Array, "b h w d"]:
        """Return the input of the masked convolution."""
        return jax.nn.relu(self.reduce(jax.nn.relu(x)))

    def output(
        self,
        x: Float[Array, "b h w 2*d"],
        convolved: Float[Array, "b h w d"],
        dropout_key: Array | None = None,
    ) -> Float[Array, "b h w 2*d"]:
        """Return the block's result, given the result of its (conditioned) convolution."""
        y = self.dropout(jax.nn.relu(convolved), dropout_key)
        return x + self.expand(y)


class _Cache(NamedTuple):
    context: EncodedContext
    pixels: Int[Array, "b 1 w c"]  # the row above
    first: Float[Array, "b rows-1 w e"]  # the rows above that one, embedded
    hidden: list[Float[Array, "b 1 w d"]]  # each block's hidden features in the row above
    blocks: list[Float[Array, "b rows-1 w d"]]  # and in the rows above that one


class PixelCNN(AutoregressiveModel):
    """The PixelCNN of van den Oord et al. (2016a).

    Args:
        grid: size, channels and values per symbol of the grids.
        features: features of the masked convolutions (h of the paper; the residual stream has 2 h).
        num_layers: number of residual blocks.
        kernel_size: size of the blocks' masked kernels; odd.
        first_kernel_size: size of the first convolution's kernel; odd.
        rngs: random number generators for the initial weights.
        common: settings of every model; see `AutoregressiveModel`.

    Raises:
        InputError: if a kernel size is even or below 3.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        features: int = 64,
        num_layers: int = 6,
        kernel_size: int = 3,
        first_kernel_size: int = 7,
        rngs: nnx.Rngs,
        **common: Unpack[CommonSettings],
    ):
        super().__init__(grid, features, rngs=rngs, **common)
        self.first = MaskedConv(
            "A", first_kernel_size, self.embedding.features, 2 * features, rngs=rngs
        )
        self.blocks = self.stack(
            num_layers, ResidualBlock, features, kernel_size=kernel_size, rngs=rngs
        )
        self.head = self.head_settings.make(grid, 2 * features, rngs=rngs)

    def network(self, x: Embedded, context: EncodedContext, dropout_key: Array | None) -> Features:
        """See `AutoregressiveModel.network`."""
        keys = self.blocks.split_key(dropout_key)

        def layer(block: ResidualBlock, x: Any, key: Any) -> tuple[Any, None]:
            return block.output(x, block.convolved(block.hidden(x), context), key), None

        features, _ = self.blocks.scan(layer, self.first(x), keys)
        return features

    def init_cache(self, batch: int, context: Context | None = None) -> _Cache:
        """See `AutoregressiveModel.init_cache`."""
        width, blocks = self.grid.width, self.blocks.unstack()
        return _Cache(
            self.context_encoder(context, batch),
            self.outside_row(batch),
            self.first.init_cache(batch, width),
            [block.init_row(batch, width) for block in blocks],
            [block.conv.init_cache(batch, width) for block in blocks],
        )

    def start_row(self, cache: _Cache, row: Int[Array, ""]) -> tuple[_Cache, Any, Any]:
        """See `AutoregressiveModel.start_row`; the part of every convolution in the rows above."""
        context = row_of(cache.context, row)
        above, left, first_past = self.first.start_row(self.embedding(cache.pixels), cache.first)
        aboves, lefts, pasts = [above], [left], []
        for block, hidden, past in zip(
            self.blocks.unstack(), cache.hidden, cache.blocks, strict=True
        ):
            above, left, past = block.start_row(hidden, past, context)
            aboves.append(above)
            lefts.append(left)
            pasts.append(past)
        return cache._replace(first=first_past, blocks=pasts), aboves, lefts

    def step(
        self, above: Any, left: Any, previous: Int[Array, "b k c"]
    ) -> tuple[Float[Array, "b k d"], Any, Any]:
        """See `AutoregressiveModel.step`; the part of every convolution in the current row."""
        x, past = self.first.step(self.embedding(previous)[:, None], above[0], left[0])
        pasts, trace = [past], []
        for block, block_above, past in zip(
            self.blocks.unstack(), above[1:], left[1:], strict=True
        ):
            hidden = block.hidden(x)
            convolved, past = block.conv.step(hidden, block_above, past)
            x = block.output(x, convolved)
            pasts.append(past)
            trace.append(hidden)
        return x[:, 0], pasts, trace

    def end_row(self, cache: _Cache, pixels: Int[Array, "b 1 w c"], traces: Any) -> _Cache:
        """See `AutoregressiveModel.end_row`."""
        return cache._replace(
            pixels=pixels,
            hidden=traces,
        )

"""Gated PixelCNN: two streams of convolutions, without a blind spot.

Legend: b batch, h height, w width, c channels, d features, k columns of a step.

The *vertical* stream reads the rows above and never the current row. The *horizontal* stream reads
the current row, and takes in the vertical stream at every layer. Masked convolutions alone leave a
blind spot to the upper right [1, section 2.2]. The vertical stream covers it here.

Where we deviate from [1]:

- The network's input is shifted: down for the vertical stream, right for the horizontal one. Every
  layer can then read its own row or column, and no kernel is masked.
- Only the head conditions channels on each other (see `SoftmaxHead`).
- The context enters each block once, before the link, and reaches the gates of both streams.
- Symbols enter as learned embeddings, which suit codes as well as intensities.

[1] van den Oord et al. 2016b, Conditional Image Generation with PixelCNN Decoders, figure 2.
"""

import functools
from typing import Any, NamedTuple, Unpack

from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.grid import Grid
from pixelprior.models.base import AutoregressiveModel, CommonSettings, Embedded, Features, row_of
from pixelprior.nn.causal import Above, Left, shift_down, shift_right
from pixelprior.nn.conditioning import EncodedContext, add_context, context_layer
from pixelprior.nn.dropout import Dropout
from pixelprior.nn.gates import gated_activation
from pixelprior.nn.image_keys import split_keys
from pixelprior.nn.initializers import linear, zeros
from pixelprior.nn.stack import Stack
from pixelprior.sizes import check_kernel_sizes


class GatedBlock(nnx.Module):
    """One layer of both streams, with ``d`` features in and ``e`` features out.

    The vertical kernel covers ``rows`` rows, its own included, and is ``columns`` wide. The
    horizontal kernel covers ``left`` columns, its own included.
    """

    def __init__(
        self,
        d: int,
        e: int,
        *,
        rows: int,
        columns: int,
        left: int,
        context_features: int,
        residual: bool,
        dropout_rate: float,
        rngs: nnx.Rngs,
    ):
        self.residual = residual
        self.above = Above(rows, columns, d, 2 * e, rngs=rngs)
        self.above_bias = nnx.Param(zeros(2 * e))
        self.left = Left(left, d, 2 * e, rngs=rngs)
        self.link = linear(2 * e, 2 * e, rngs=rngs)
        self.context = context_layer(context_features, 2 * e, rngs=rngs)
        self.dropout = Dropout(dropout_rate)
        self.output = linear(e, e, rngs=rngs)

    def vertical(
        self,
        v: Float[Array, "b h w d"],
        past: Float[Array, "b rows-1 w d"],
        context: EncodedContext,
    ) -> tuple[Float[Array, "b h w e"], Float[Array, "b h w 2*e"], Float[Array, "b rows-1 w d"]]:
        """Return the vertical stream, its link to the horizontal one, and the next rows' past."""
        y, past = self.above(v, past)
        y = add_context(y + self.above_bias, self.context, context)
        return gated_activation(y), self.link(y), past

    def horizontal(
        self,
        x: Float[Array, "b h w d"],
        link: Float[Array, "b h w 2*e"],
        past: Float[Array, "b h left-1 d"],
        dropout_key: Array | None = None,
    ) -> tuple[Float[Array, "b h w e"], Float[Array, "b h left-1 d"]]:
        """Return the horizontal stream, and the next columns' past."""
        y, past = self.left(x, past)
        y = self.dropout(gated_activation(y + link), dropout_key)
        y = self.output(y)
        return (x + y if self.residual else y), past


class _Cache(NamedTuple):
    context: EncodedContext
    pixels: Int[Array, "b 1 w c"]  # the row above
    pasts: list[Float[Array, "b rows-1 w d"]]  # rows above, for each layer's vertical stream


class GatedPixelCNN(AutoregressiveModel):
    """The Gated PixelCNN of van den Oord et al. (2016b).

    Args:
        grid: size, channels and values per symbol of the grids.
        features: number of features of each stream.
        num_layers: number of gated blocks after the first.
        kernel_size: size of the blocks' kernels; odd.
        first_kernel_size: size of the first block's kernel, which excludes its own position; odd.
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
        check_kernel_sizes(kernel_size=kernel_size, first_kernel_size=first_kernel_size)
        super().__init__(grid, features, rngs=rngs, **common)
        block = functools.partial(
            GatedBlock,
            context_features=self.context_features,
            dropout_rate=self.dropout_rate,
        )
        half, first_half = kernel_size // 2, first_kernel_size // 2
        # The shifted input already moves the first block one row up and one column to the left.
        # Its kernels end there, and do not cover the own row or the own column.
        self.first = block(
            self.embedding.features,
            features,
            rows=first_half,
            columns=first_kernel_size,
            left=first_half,
            residual=False,
            rngs=rngs,
        )
        self.blocks = Stack(
            lambda rngs: block(
                features,
                features,
                rows=half + 1,
                columns=kernel_size,
                left=half + 1,
                residual=True,
                rngs=rngs,
            ),
            num_layers,
            remat=self.remat,
            rngs=rngs,
        )
        self.head = self.head_settings.make(grid, features, rngs=rngs)

    def network(self, x: Embedded, context: EncodedContext, dropout_key: Array | None) -> Features:
        """See `AutoregressiveModel.network`."""
        b, h, w, _ = x.shape
        first_key, key = split_keys(dropout_key, 2)

        def layer(
            block: GatedBlock,
            v: Float[Array, "b h w d"],
            horizontal: Float[Array, "b h w d"],
            key: Array | None,
        ) -> tuple[Float[Array, "b h w d"], Float[Array, "b h w d"]]:
            v, link, _ = block.vertical(v, block.above.init_past(b, w), context)
            past = block.left.init_past(b, h)
            return v, block.horizontal(horizontal, link, past, key)[0]

        streams = layer(self.first, shift_down(x), shift_right(x), first_key)
        (_, horizontal), _ = self.blocks.scan(
            lambda block, carry, key: (layer(block, carry[0], carry[1], key), None),
            streams,
            self.blocks.split_key(key),
        )
        return horizontal

    def init_cache(self, batch: int, context: Context | None = None) -> _Cache:
        """See `AutoregressiveModel.init_cache`."""
        return _Cache(
            self.context_encoder(context, batch),
            self.outside_row(batch),
            [block.above.init_past(batch, self.grid.width) for block in self._unstack()],
        )

    def start_row(self, cache: _Cache, row: Int[Array, ""]) -> tuple[_Cache, Any, Any]:
        """See `AutoregressiveModel.start_row`; runs the whole vertical stream."""
        context = row_of(cache.context, row)
        v = self.embedding(cache.pixels)
        links, pasts, left = [], [], []
        for block, past in zip(self._unstack(), cache.pasts, strict=True):
            v, link, past = block.vertical(v, past, context)
            links.append(link)
            pasts.append(past)
            left.append(block.left.init_past(v.shape[0], 1))
        return cache._replace(pasts=pasts), links, left

    def step(
        self, above: Any, left: Any, previous: Int[Array, "b k c"]
    ) -> tuple[Float[Array, "b k d"], Any, None]:
        """See `AutoregressiveModel.step`; runs the horizontal stream at the next columns."""
        x = self.embedding(previous)[:, None]
        pasts = []
        for block, link, past in zip(self._unstack(), above, left, strict=True):
            x, past = block.horizontal(x, link, past)
            pasts.append(past)
        return x[:, 0], pasts, None

    def end_row(self, cache: _Cache, pixels: Int[Array, "b 1 w c"], traces: None) -> _Cache:
        """See `AutoregressiveModel.end_row`."""
        return cache._replace(pixels=pixels)

    def _unstack(self) -> list[GatedBlock]:
        """Return all layers as a list."""
        return [self.first, *self.blocks.unstack()]

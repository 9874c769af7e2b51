"""Transformer over the positions of a grid, in raster order.

Legend: b batch, h height, w width, c channels, d features.

Each block is pre-norm: causal attention, then a two-layer perceptron [1; 2, section 2.3]. Positions
are in raster order, as in [3] and [4].

Where we deviate from them:

- Positions are pixels, not channels. The head applies the chain rule to the channels of a pixel.
- The input is a small masked convolution (see `RasterStem`), not the previous pixel alone. Without
  it, a short training mostly learns that neighbours matter.
- Position embeddings are learned vectors, one per row and one per column.
- The context is added to the inputs of each block's attention and perceptron.
- An attention window is a number of rows. Keys and values are stored for this number of rows.

[1] Vaswani et al. 2017, Attention Is All You Need.
[2] Radford et al. 2019, Language Models are Unsupervised Multitask Learners.
[3] Parmar et al. 2018, Image Transformer.
[4] Chen et al. 2020, Generative Pretraining from Pixels.
"""

from typing import Any, NamedTuple, Unpack

from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.grid import Grid
from pixelprior.models.base import AutoregressiveModel, CommonSettings, Embedded, Features, row_of
from pixelprior.nn.attention import AttentionCache
from pixelprior.nn.conditioning import EncodedContext
from pixelprior.nn.initializers import layer_norm
from pixelprior.nn.raster_stem import RasterStem
from pixelprior.nn.transformer_blocks import (
    TransformerBlock,
    end_rows,
    init_caches,
    run_blocks,
    start_rows,
    step_blocks,
)


class _Cache(NamedTuple):
    context: EncodedContext
    pixels: Int[Array, "b 1 w c"]  # the row above
    stem: Float[Array, "b r w e"]  # the rows above that one, embedded
    blocks: list[AttentionCache]


class Transformer(AutoregressiveModel):
    """A decoder-only transformer over the positions of a grid.

    Args:
        grid: size, channels and values per symbol of the grids.
        features: number of features of the residual stream; a multiple of ``num_heads``.
        num_layers: number of blocks of attention and perceptron.
        num_heads: number of heads of each attention layer.
        window_rows: number of rows above its own that a position attends to; all of them, if the
            grid has fewer.
        first_kernel_size: size of the kernel of the convolution before the blocks; odd.
        rngs: random number generators for the initial weights.
        common: settings of every model; see `AutoregressiveModel`.

    Raises:
        InputError: if ``first_kernel_size`` is even or below 3, or ``num_heads`` does not divide
            ``features``.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        features: int = 64,
        num_layers: int = 6,
        num_heads: int = 4,
        window_rows: int = 64,
        first_kernel_size: int = 7,
        rngs: nnx.Rngs,
        **common: Unpack[CommonSettings],
    ):
        super().__init__(grid, features, rngs=rngs, **common)
        self.stem = RasterStem(
            grid, first_kernel_size, self.embedding.features, features, rngs=rngs
        )
        self.blocks = self.stack(
            num_layers,
            TransformerBlock,
            features,
            num_heads=num_heads,
            window_rows=window_rows,
            rngs=rngs,
        )
        self.norm = layer_norm(features, rngs=rngs)
        self.head = self.head_settings.make(grid, features, rngs=rngs)

    def network(self, x: Embedded, context: EncodedContext, dropout_key: Array | None) -> Features:
        """See `AutoregressiveModel.network`."""
        return self.norm(run_blocks(self.blocks, self.stem(x), context, dropout_key))

    def init_cache(self, batch: int, context: Context | None = None) -> _Cache:
        """See `AutoregressiveModel.init_cache`."""
        height, width, _ = self.grid.shape
        return _Cache(
            self.context_encoder(context, batch),
            self.outside_row(batch),
            self.stem.init_cache(batch),
            init_caches(self.blocks, batch, height, width),
        )

    def start_row(self, cache: _Cache, row: Int[Array, ""]) -> tuple[_Cache, Any, Any]:
        """See `AutoregressiveModel.start_row`; the stem's rows above, and the context."""
        above, stem, past = self.stem.start_row(self.embedding(cache.pixels), cache.stem, row)
        conditions, states = start_rows(self.blocks, cache.blocks, row_of(cache.context, row), row)
        return cache._replace(stem=past), (above, conditions), (stem, states)

    def step(
        self, above: Any, left: Any, previous: Int[Array, "b k c"]
    ) -> tuple[Float[Array, "b k d"], Any, Any]:
        """See `AutoregressiveModel.step`; runs all blocks at the next columns."""
        (stem_above, conditions), (stem, states) = above, left
        x, stem = self.stem.step(self.embedding(previous)[:, None], stem_above, stem)
        x, states, traces = step_blocks(self.blocks, x, conditions, states)
        return self.norm(x)[:, 0], (stem, states), traces

    def end_row(self, cache: _Cache, pixels: Int[Array, "b 1 w c"], traces: Any) -> _Cache:
        """See `AutoregressiveModel.end_row`; stores the row's keys and values."""
        return cache._replace(pixels=pixels, blocks=end_rows(self.blocks, cache.blocks, traces))

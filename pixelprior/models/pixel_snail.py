"""PixelSNAIL: causal convolutions for near pixels, attention for all earlier pixels.

Legend: b batch, h height, w width, c channels, d features.

A block of the network is a few gated residual convolutions, then one attention layer over all
earlier positions. The attention reads the features together with the input itself [1, figure 2].
Without attention, it is the lighter network that VQ-VAE-2 uses for finer codes [2, appendix B].

Where we deviate from [1]:

- A residual block has one masked 3x3 convolution and a 1x1 convolution for the gate. In [1] it has
  two 2x2 convolutions. On the CPU, an extra output channel costs less than an extra tap.
- The attention reads the result of the stem (`RasterStem`) together with the features. The stem
  covers near symbols, and a learned position replaces two linear coordinates.
- A position may attend to itself, because the stem does not contain its own symbol. The attention
  therefore always has at least one position to read.
- Keys are as wide as values.
- Only the head conditions channels on each other, and symbols enter as learned embeddings.

[1] Chen et al. 2018, PixelSNAIL: An Improved Autoregressive Generative Model.
[2] Razavi et al. 2019, Generating Diverse High-Fidelity Images with VQ-VAE-2.
"""

from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.grid import Grid
from pixelprior.models.base import AutoregressiveModel, CommonSettings, Embedded, Features, row_of
from pixelprior.nn.attention import CausalAttention
from pixelprior.nn.conditioning import EncodedContext
from pixelprior.nn.dropout import Dropout
from pixelprior.nn.gates import gated_residual
from pixelprior.nn.image_keys import split_keys
from pixelprior.nn.initializers import linear
from pixelprior.nn.masked_conv import ConditionedConv
from pixelprior.nn.raster_stem import RasterStem
from pixelprior.nn.stack import Stack


class GatedResidual(ConditionedConv):
    """Residual block: elu, masked convolution, elu, 1x1 to a value and a gate.

    The product of the value and the gate is added to the input.
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
        super().__init__(kernel_size, d, context_features=context_features, rngs=rngs)
        self.dropout = Dropout(dropout_rate)
        self.gate = linear(d, 2 * d, rngs=rngs)

    def output(
        self,
        x: Float[Array, "b h w d"],
        convolved: Float[Array, "b h w d"],
        dropout_key: Array | None = None,
    ) -> Float[Array, "b h w d"]:
        """Return the block's result, given the result of its (conditioned) convolution."""
        y = self.dropout(jax.nn.elu(convolved), dropout_key)
        return gated_residual(x, self.gate(y))


class AttentionBlock(nnx.Module):
    """Attention over features and stem; a gated 1x1 residual block takes in its result."""

    def __init__(
        self, d: int, *, num_heads: int, window_rows: int, dropout_rate: float, rngs: nnx.Rngs
    ):
        self.attention = CausalAttention(
            2 * d, d, num_heads=num_heads, window_rows=window_rows, rngs=rngs
        )
        self.features = linear(d, d, rngs=rngs)
        self.attended = linear(d, d, use_bias=False, rngs=rngs)
        self.dropout = Dropout(dropout_rate)
        self.gate = linear(d, 2 * d, rngs=rngs)

    def output(
        self,
        x: Float[Array, "b h w d"],
        attended: Float[Array, "b h w d"],
        dropout_key: Array | None = None,
    ) -> Float[Array, "b h w d"]:
        """Return the block's result, given the result of its attention."""
        y = self.features(jax.nn.elu(x)) + self.attended(jax.nn.elu(attended))
        y = self.dropout(jax.nn.elu(y), dropout_key)
        return gated_residual(x, self.gate(y))


class SnailBlock(nnx.Module):
    """Several residual blocks, then one attention layer if ``attention`` is true."""

    def __init__(
        self,
        d: int,
        *,
        num_residuals: int,
        kernel_size: int,
        attention: bool,
        num_heads: int,
        window_rows: int,
        context_features: int,
        dropout_rate: float,
        rngs: nnx.Rngs,
    ):
        self.residuals = Stack(
            lambda rngs: GatedResidual(
                d,
                kernel_size=kernel_size,
                context_features=context_features,
                dropout_rate=dropout_rate,
                rngs=rngs,
            ),
            num_residuals,
            rngs=rngs,
        )
        self.attention = (
            AttentionBlock(
                d,
                num_heads=num_heads,
                window_rows=window_rows,
                dropout_rate=dropout_rate,
                rngs=rngs,
            )
            if attention
            else None
        )


class _Cache(NamedTuple):
    context: EncodedContext
    pixels: Int[Array, "b 1 w c"]  # the row above
    stem: Float[Array, "b r w e"]  # the rows above that one, embedded
    hidden: list[list[Float[Array, "b 1 w d"]]]  # each convolution's input in the row above
    pasts: list[list[Float[Array, "b r w d"]]]  # and in the rows above that one
    attention: list[Any]  # an `AttentionCache` for each block; None without attention


class PixelSNAIL(AutoregressiveModel):
    """The PixelSNAIL of Chen et al. (2018).

    Args:
        grid: size, channels and values per symbol of the grids.
        features: number of features of the network; a multiple of ``num_heads``.
        num_layers: number of blocks of convolutions and attention.
        num_residuals: number of gated residual convolutions in each block.
        kernel_size: size of the residual convolutions' kernels; odd.
        first_kernel_size: size of the first convolution's kernel; odd.
        attention: use attention.
        num_heads: number of heads of each attention layer.
        window_rows: number of rows above its own that a position attends to; all of them, if the
            grid has fewer.
        rngs: random number generators for the initial weights.
        common: settings of every model; see `AutoregressiveModel`.

    Raises:
        InputError: if a kernel size is even or below 3, or ``num_heads`` does not divide
            ``features``.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        features: int = 64,
        num_layers: int = 2,
        num_residuals: int = 3,
        kernel_size: int = 3,
        first_kernel_size: int = 7,
        attention: bool = True,
        num_heads: int = 4,
        window_rows: int = 64,
        rngs: nnx.Rngs,
        **common: Unpack[CommonSettings],
    ):
        super().__init__(grid, features, rngs=rngs, **common)
        self.stem = RasterStem(
            grid, first_kernel_size, self.embedding.features, features, rngs=rngs
        )
        self.blocks = self.stack(
            num_layers,
            SnailBlock,
            features,
            num_residuals=num_residuals,
            kernel_size=kernel_size,
            attention=attention,
            num_heads=num_heads,
            window_rows=window_rows,
            rngs=rngs,
        )
        self.head = self.head_settings.make(grid, features, rngs=rngs)

    def network(self, x: Embedded, context: EncodedContext, dropout_key: Array | None) -> Features:
        """See `AutoregressiveModel.network`."""
        stem = self.stem(x)

        def residual(layer: GatedResidual, x: Any, key: Any) -> tuple[Any, None]:
            return layer.output(x, layer.convolved(jax.nn.elu(x), context), key), None

        def block(layer: SnailBlock, x: Any, key: Any) -> tuple[Any, None]:
            own, rest = split_keys(key, 2)
            x, _ = layer.residuals.scan(residual, x, layer.residuals.split_key(rest))
            if layer.attention is not None:
                attended = layer.attention.attention(jnp.concatenate([x, stem], axis=-1))
                x = layer.attention.output(x, attended, own)
            return x, None

        keys = self.blocks.split_key(dropout_key)
        return self.blocks.scan(block, stem, keys)[0]

    def init_cache(self, batch: int, context: Context | None = None) -> _Cache:
        """See `AutoregressiveModel.init_cache`."""
        height, width, _ = self.grid.shape
        blocks = self._unstack()
        return _Cache(
            self.context_encoder(context, batch),
            self.outside_row(batch),
            self.stem.init_cache(batch),
            [[layer.init_row(batch, width) for layer in residuals] for residuals, _ in blocks],
            [
                [layer.conv.init_cache(batch, width) for layer in residuals]
                for residuals, _ in blocks
            ],
            [
                None if attention is None else attention.attention.init_cache(batch, height, width)
                for _, attention in blocks
            ],
        )

    def start_row(self, cache: _Cache, row: Int[Array, ""]) -> tuple[_Cache, Any, Any]:
        """See `AutoregressiveModel.start_row`; the part of every convolution in the rows above."""
        context = row_of(cache.context, row)
        stem, stem_left, stem_past = self.stem.start_row(
            self.embedding(cache.pixels), cache.stem, row
        )
        aboves, lefts, all_pasts, states = [], [], [], []
        for (residuals, attention), hidden, pasts, attended in zip(
            self._unstack(), cache.hidden, cache.pasts, cache.attention, strict=True
        ):
            started = [
                layer.start_row(rows, past, context)
                for layer, rows, past in zip(residuals, hidden, pasts, strict=True)
            ]
            aboves.append([above for above, _, _ in started])
            lefts.append([left for _, left, _ in started])
            all_pasts.append([past for _, _, past in started])
            states.append(
                None if attention is None else attention.attention.start_row(attended, row)
            )
        return (
            cache._replace(stem=stem_past, pasts=all_pasts),
            (stem, aboves),
            (stem_left, lefts, states),
        )

    def step(
        self, above: Any, left: Any, previous: Int[Array, "b k c"]
    ) -> tuple[Float[Array, "b k d"], Any, Any]:
        """See `AutoregressiveModel.step`; runs all blocks at the next columns."""
        (stem_above, aboves), (stem_left, lefts, states) = above, left
        previous_vector = self.embedding(previous)[:, None]
        stem, stem_left = self.stem.step(previous_vector, stem_above, stem_left)
        x, all_after, after_states, hidden, keys = stem, [], [], [], []
        for (residuals, attention), block_above, block_left, state in zip(
            self._unstack(), aboves, lefts, states, strict=True
        ):
            after, seen = [], []
            for layer, layer_above, past in zip(residuals, block_above, block_left, strict=True):
                seen.append(jax.nn.elu(x))
                convolved, past = layer.conv.step(seen[-1], layer_above, past)
                x = layer.output(x, convolved)
                after.append(past)
            key = None
            if attention is not None:
                attended, state, key = attention.attention.step(
                    jnp.concatenate([x, stem], axis=-1), state
                )
                x = attention.output(x, attended)
            all_after.append(after)
            after_states.append(state)
            hidden.append(seen)
            keys.append(key)
        return x[:, 0], (stem_left, all_after, after_states), (hidden, keys)

    def end_row(self, cache: _Cache, pixels: Int[Array, "b 1 w c"], traces: Any) -> _Cache:
        """See `AutoregressiveModel.end_row`."""
        hidden, keys = traces
        return cache._replace(
            pixels=pixels,
            hidden=hidden,
            attention=[
                None if attention is None else attention.attention.end_row(attended, key)
                for (_, attention), attended, key in zip(
                    self._unstack(), cache.attention, keys, strict=True
                )
            ],
        )

    def _unstack(self) -> list[tuple[list[GatedResidual], AttentionBlock | None]]:
        """Return the layers of each block: its residual blocks, and its attention."""
        return [(block.residuals.unstack(), block.attention) for block in self.blocks.unstack()]

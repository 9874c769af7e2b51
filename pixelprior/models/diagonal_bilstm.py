"""Diagonal BiLSTM: two LSTMs across the diagonals, from the upper left and the upper right.

Legend: b batch, h height, w width, c channels, d features, k columns of a step.

The network is a 7x7 convolution that excludes its own position, then residual layers of two LSTMs
each [1, section 3.2]. The *rightwards* LSTM takes its states from the left and from above. The
*leftwards* LSTM takes its states from the right and from above. The output of the leftwards LSTM
moves down by one row before the two outputs are added. At a position, this output then depends on
pixels above and to the upper right. It depends on no later pixel.

The receptive field of a position is all earlier pixels, except sometimes one: the last pixel of the
row above. More layers do not change this. Features depend only on pixels before their own pixel.
The features of the row above therefore do not depend on the last pixel of that row. The features of
the current row depend on it if it is within reach of the 7x7 convolution.

Where we deviate from [1]:

- Only the head conditions channels on each other (see `SoftmaxHead`).
- Forget gates start open, with a bias of 1.
- Context, which [1] does not have, enters the gates of each LSTM.
- Dropout applies to the sum of both LSTMs at the output of a layer. It does not apply to the states
  that go to the next diagonal.
- Symbols enter as learned embeddings, which suit codes as well as intensities.

[1] van den Oord et al. 2016a, Pixel Recurrent Neural Networks, figure 5 and table 1.
"""

from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.grid import Grid
from pixelprior.models.base import (
    AutoregressiveModel,
    CommonSettings,
    Embedded,
    Features,
    row_of,
    side_by_side,
)
from pixelprior.nn.causal import shift_down
from pixelprior.nn.compiled import compiled
from pixelprior.nn.conditioning import EncodedContext
from pixelprior.nn.dropout import Dropout
from pixelprior.nn.initializers import linear
from pixelprior.nn.lstm import LineLSTM, line_lstm, lstm_cell
from pixelprior.nn.masked_conv import MaskedConv
from pixelprior.nn.skew import skew, unskew

ABOVE, BESIDE = 0, 1
"""Two taps on the previous diagonal: the position above, and the one to the left (or right)."""


class DiagonalLSTM(nnx.Module):
    """LSTM of one direction, with ``2 d`` input features and states of size ``d``."""

    def __init__(self, d: int, *, context_features: int, rngs: nnx.Rngs):
        self.inputs = linear(2 * d, 4 * d, use_bias=False, rngs=rngs)
        self.lstm = LineLSTM(2, d, context_features=context_features, rngs=rngs)

    def terms(
        self, x: Float[Array, "b h w 2*d"], context: EncodedContext
    ) -> Float[Array, "b h w 4*d"]:
        """Return the gates' terms from the input and the context, without the previous states."""
        return self.inputs(x) + self.lstm.condition(context)

    def terms_from_above(
        self, hidden: Float[Array, "b 1 w d"], context: EncodedContext
    ) -> Float[Array, "b 1 w 4*d"]:
        """Return the gates' terms from the row above and the context.

        The terms from the row's input, and from the states beside, are not included.
        """
        return hidden @ self.lstm.kernel[ABOVE] + self.lstm.condition(context)

    def walk(
        self,
        terms: Float[Array, "b 1 k 4*d"],
        state: tuple[Float[Array, "b 1 1 d"], Float[Array, "b 1 1 d"]],
    ) -> tuple[tuple[Float[Array, "b 1 1 d"], Float[Array, "b 1 1 d"]], Float[Array, "b 1 k d"]]:
        """Run the LSTM along the columns of a row.

        Returns:
            The hidden state and the cell of the last column, and the hidden states of all columns.
        """
        kernel = self.lstm.kernel[BESIDE]

        def column(state: Any, terms: Any) -> tuple[Any, Any]:
            hidden, cell = state
            hidden, cell = lstm_cell(terms + hidden @ kernel, cell)
            return (hidden, cell), hidden

        by_column = jnp.moveaxis(terms, 2, 0)[..., None, :]
        state, hidden = lax.scan(column, state, by_column)
        return state, side_by_side(hidden)


class DiagonalBiLSTMBlock(nnx.Module):
    """Residual layer: the sum of both LSTMs, then a 1x1 convolution back to ``2 d`` features."""

    def __init__(self, d: int, *, context_features: int, dropout_rate: float, rngs: nnx.Rngs):
        self.rightwards = DiagonalLSTM(d, context_features=context_features, rngs=rngs)
        self.leftwards = DiagonalLSTM(d, context_features=context_features, rngs=rngs)
        self.dropout = Dropout(dropout_rate)
        self.expand = linear(d, 2 * d, rngs=rngs)

    def hidden(
        self, x: Float[Array, "b h w 2*d"], context: EncodedContext
    ) -> Float[Array, "b h w d"]:
        """Return the sum of the hidden states of both directions, over whole grids."""
        # The leftwards LSTM is a rightwards one on the mirrored grid. The skewed grid has zeros to
        # the left of each row. The states there are therefore zero, as before the first column. No
        # row reads the places to the right of another row.
        mirrored = self.leftwards.terms(x, context)[:, :, ::-1]
        terms = jnp.stack([skew(self.rightwards.terms(x, context)), skew(mirrored)], axis=1)
        kernels = jnp.stack([self.rightwards.lstm.kernel[...], self.leftwards.lstm.kernel[...]])
        # One scan serves both directions.
        hidden = jax.vmap(line_lstm, in_axes=(1, 0), out_axes=1)(terms, kernels)
        rightwards, mirrored = unskew(hidden[:, 0]), unskew(hidden[:, 1])
        return rightwards + shift_down(mirrored[:, :, ::-1])

    def output(
        self,
        x: Float[Array, "b h w 2*d"],
        hidden: Float[Array, "b h w d"],
        dropout_key: Array | None = None,
    ) -> Float[Array, "b h w 2*d"]:
        """Return the layer's result, given its hidden states."""
        hidden = self.dropout(hidden, dropout_key)
        return x + self.expand(hidden)


class _Cache(NamedTuple):
    context: EncodedContext
    pixels: Int[Array, "b 1 w c"]  # the row above
    first: Float[Array, "b rows-1 w e"]  # the rows above that one, embedded
    rightwards: list[Float[Array, "b 1 w d"]]  # each layer's hidden states in the row above
    leftwards: list[Float[Array, "b 1 w d"]]
    # The terms of this row's leftwards gates, without its input and the states beside.
    leftwards_terms: list[Float[Array, "b 1 #w 4*d"]]


class DiagonalBiLSTM(AutoregressiveModel):
    """The Diagonal BiLSTM of van den Oord et al. (2016a).

    Args:
        grid: size, channels and values per symbol of the grids.
        features: size of hidden states and cells (h of the paper; the residual stream has 2 h).
        num_layers: number of residual layers, of two LSTMs each.
        first_kernel_size: size of the first convolution's kernel; odd.
        rngs: random number generators for the initial weights.
        common: settings of every model; see `AutoregressiveModel`.

    Raises:
        InputError: if ``first_kernel_size`` is even or below 3.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        features: int = 32,
        num_layers: int = 4,
        first_kernel_size: int = 7,
        rngs: nnx.Rngs,
        **common: Unpack[CommonSettings],
    ):
        super().__init__(grid, features, rngs=rngs, **common)
        self.first = MaskedConv(
            "A", first_kernel_size, self.embedding.features, 2 * features, rngs=rngs
        )
        self.blocks = self.stack(num_layers, DiagonalBiLSTMBlock, features, rngs=rngs)
        self.head = self.head_settings.make(grid, 2 * features, rngs=rngs)

    def network(self, x: Embedded, context: EncodedContext, dropout_key: Array | None) -> Features:
        """See `AutoregressiveModel.network`."""
        keys = self.blocks.split_key(dropout_key)

        def layer(block: DiagonalBiLSTMBlock, x: Any, key: Any) -> tuple[Any, None]:
            return block.output(x, block.hidden(x, context), key), None

        features, _ = self.blocks.scan(layer, self.first(x), keys)
        return features

    def init_cache(self, batch: int, context: Context | None = None) -> _Cache:
        """See `AutoregressiveModel.init_cache`."""
        width, blocks = self.grid.width, self.blocks.unstack()
        states = [block.rightwards.lstm.init_state(batch, 1, width) for block in blocks]
        # `start_row` replaces these terms before their first use. Only their shape matters here.
        terms = [jnp.tile(state, 4) for state in states]
        return _Cache(
            self.context_encoder(context, batch),
            self.outside_row(batch),
            self.first.init_cache(batch, width),
            states,
            states,
            terms,
        )

    def start_row(self, cache: _Cache, row: Int[Array, ""]) -> tuple[_Cache, Any, Any]:
        """See `AutoregressiveModel.start_row`; computes the terms from the row above."""
        context = row_of(cache.context, row)
        batch = cache.pixels.shape[0]
        first, first_left, first_past = self.first.start_row(
            self.embedding(cache.pixels), cache.first
        )
        terms, leftwards_terms, states = [], [], []
        for block, rightwards, leftwards in zip(
            self.blocks.unstack(), cache.rightwards, cache.leftwards, strict=True
        ):
            terms.append(block.rightwards.terms_from_above(rightwards, context))
            leftwards_terms.append(block.leftwards.terms_from_above(leftwards, context))
            state = block.rightwards.lstm.init_state(batch, 1, 1)
            states.append((state, state))
        return (
            cache._replace(first=first_past, leftwards_terms=leftwards_terms),
            (first, terms, cache.leftwards),
            (first_left, states),
        )

    @compiled()
    def step(
        self, above: Any, left: Any, previous: Int[Array, "b k c"]
    ) -> tuple[Float[Array, "b k d"], Any, Any]:
        """See `AutoregressiveModel.step`; runs the rightwards LSTMs."""
        first, terms, leftwards = above
        past, states = left
        x, past = self.first.step(self.embedding(previous)[:, None], first, past)
        inputs, new_states, hiddens = [], [], []
        for block, above_terms, from_right, state in zip(
            self.blocks.unstack(), terms, leftwards, states, strict=True
        ):
            terms = above_terms + block.rightwards.inputs(x)
            state, hidden = block.rightwards.walk(terms, state)
            inputs.append(x)
            new_states.append(state)
            hiddens.append(hidden)
            x = block.output(x, hidden + from_right)
        return x[:, 0], (past, new_states), (inputs, hiddens)

    @compiled()
    def end_row(self, cache: _Cache, pixels: Int[Array, "b 1 w c"], traces: Any) -> _Cache:
        """See `AutoregressiveModel.end_row`; runs the leftwards LSTMs, as the row is now known.

        The input of each layer is also known, and one scan therefore serves all layers.
        """
        inputs, rightwards = traces
        blocks = self.blocks.unstack()
        terms = jnp.stack(
            [
                block.leftwards.inputs(x) + above_terms
                for block, x, above_terms in zip(blocks, inputs, cache.leftwards_terms, strict=True)
            ]
        )  # [l, b, 1, w, 4 d]
        kernels = jnp.stack([block.leftwards.lstm.kernel[BESIDE] for block in blocks])

        def column(state: Any, terms: Any) -> tuple[Any, Any]:
            hidden, cell = jnp.split(state, 2, axis=-1)
            hidden, cell = lstm_cell(terms + hidden @ kernels, cell)
            return jnp.concatenate([hidden, cell], axis=-1), hidden

        by_column = jnp.moveaxis(terms[:, :, 0], 2, 0)  # [w, l, b, 4 d]
        start = jnp.zeros_like(by_column[0, ..., : by_column.shape[-1] // 2])
        _, leftwards = lax.scan(column, start, by_column, reverse=True)
        return cache._replace(
            pixels=pixels,
            rightwards=rightwards,
            leftwards=list(jnp.moveaxis(leftwards, 0, 2)[:, :, None]),
        )

"""Row LSTM: an LSTM down the rows, whole rows at a time.

Legend: b batch, h height, w width, d features, k columns of the state kernel, c features of the
context.

A 7x7 convolution that does not see its own position, then residual LSTM layers. A layer's state at
a position comes from its input there and to the left, and from the states of k columns of the row
above [1, section 3.1]. So a position sees a triangle that opens upwards, as high as the image; what
lies to the right of it, in the rows just above, is a blind spot. `DiagonalBiLSTM` all but has none.

Where we deviate from [1]:

- A masked tap is a tap that is not there, see `Left` and `MaskedConv`.
- Channels are conditioned on each other in the head alone, see `SoftmaxHead`.
- Forget gates start open, with a bias of 1.
- Context, which [1] does not have, enters the gates of each layer; dropout falls on hidden states
  on their way out of a layer, not on their way to the next row.
- Symbols enter as learned embeddings, so that codes are as welcome as intensities.

[1] van den Oord et al. 2016a, Pixel Recurrent Neural Networks, figure 5 and table 1.
"""

from typing import Any, NamedTuple, Unpack

from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.models.base import AutoregressiveModel, CommonSettings, Embedded, Features, row_of
from pixelprior.nn.causal import Left
from pixelprior.nn.conditioning import EncodedContext
from pixelprior.nn.initializers import linear
from pixelprior.nn.lstm import LineLSTM, lstm_cell
from pixelprior.nn.masked_conv import MaskedConv


class RowLSTMBlock(nnx.Module):
    """One LSTM layer, ``2 d`` features in, ``d`` inside, 1x1 back to ``2 d``; added."""

    def __init__(
        self,
        d: int,
        *,
        kernel_size: int,
        context_features: int,
        dropout_rate: float,
        rngs: nnx.Rngs,
    ):
        # What a masked kernel of this size has left: the own column, and those before it.
        self.inputs = Left(kernel_size // 2 + 1, 2 * d, 4 * d, rngs=rngs)
        self.lstm = LineLSTM(kernel_size, d, context_features=context_features, rngs=rngs)
        self.dropout = nnx.Dropout(dropout_rate)
        self.expand = linear(d, 2 * d, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "h b w 2*d"],
        context: Float[Array, "#h b #w c"] | None,
        dropout_key: Array | None = None,
    ) -> Float[Array, "h b w 2*d"]:
        """The layer over whole grids; rows lead."""
        terms, _ = self.inputs(x, self.inputs.init_past(*x.shape[:2]))
        hidden = self.lstm(terms + self.lstm.condition(context))
        return self.output(x, hidden, dropout_key)

    def output(
        self,
        x: Float[Array, "*n 2*d"],
        hidden: Float[Array, "*n d"],
        dropout_key: Array | None = None,
    ) -> Float[Array, "*n 2*d"]:
        """The layer's result, given its hidden states."""
        hidden = self.dropout(hidden, deterministic=dropout_key is None, rngs=dropout_key)
        return x + self.expand(hidden)


class _Cache(NamedTuple):
    context: EncodedContext
    pixels: Int[Array, "b 1 w c"]  # the row above
    first: Float[Array, "b rows-1 w e"]  # the rows above that one, embedded
    hidden: list[Float[Array, "b 1 w d"]]  # each layer's hidden states in the row above
    cells: list[Float[Array, "b 1 w d"]]  # and its cells


class RowLSTM(AutoregressiveModel):
    """The Row LSTM of van den Oord et al. (2016a).

    Args:
        grid: what it is a distribution over.
        features: size of hidden states and cells (h of the paper; the residual stream has 2 h).
        num_layers: residual LSTM layers.
        kernel_size: columns of the row above that a state comes from (odd); the input is seen as
            far to the left.
        first_kernel_size: of the first convolution (odd).
        rngs: where the initial weights come from.
        common: see `AutoregressiveModel`.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        features: int = 48,
        num_layers: int = 4,
        kernel_size: int = 3,
        first_kernel_size: int = 7,
        rngs: nnx.Rngs,
        **common: Unpack[CommonSettings],
    ):
        if kernel_size % 2 == 0 or kernel_size < 3:
            raise InputError(f"kernel_size must be odd and at least 3, got {kernel_size}")
        super().__init__(grid, features, rngs=rngs, **common)
        self.first = MaskedConv(
            "A", first_kernel_size, self.embedding.features, 2 * features, rngs=rngs
        )
        self.blocks = self.stack(
            num_layers, RowLSTMBlock, features, kernel_size=kernel_size, rngs=rngs
        )
        self.head = self.head_settings.make(grid, 2 * features, rngs=rngs)

    def network(self, x: Embedded, context: EncodedContext, dropout_key: Array | None) -> Features:
        """See `AutoregressiveModel.network`."""
        keys = self.blocks.split_key(dropout_key)
        # Rows lead from here on, as a scan over them wants it: turned once, not in every layer.
        rows = self.first(x).swapaxes(0, 1)
        context_rows = None if context is None else context.swapaxes(0, 1)

        def layer(block: RowLSTMBlock, x: Any, key: Any) -> tuple[Any, None]:
            return block(x, context_rows, key), None

        features, _ = self.blocks.scan(layer, rows, keys)
        return features.swapaxes(0, 1)

    def init_cache(self, batch: int, context: Context | None = None) -> _Cache:
        """See `AutoregressiveModel.init_cache`."""
        width, blocks = self.grid.width, self.blocks.unstack()
        states = [block.lstm.init_state(batch, 1, width) for block in blocks]
        return _Cache(
            self.context_encoder(context, batch),
            self.outside_row(batch),
            self.first.init_cache(batch, width),
            states,
            states,
        )

    def start_row(self, cache: _Cache, row: Int[Array, ""]) -> tuple[_Cache, Any, Any]:
        """See `AutoregressiveModel.start_row`: what comes of the states of the row above."""
        context = row_of(cache.context, row)
        batch = cache.pixels.shape[0]
        first, first_left, first_past = self.first.start_row(
            self.embedding(cache.pixels), cache.first
        )
        terms = []
        left = [first_left]
        for block, hidden in zip(self.blocks.unstack(), cache.hidden, strict=True):
            terms.append(block.lstm.from_line_before(hidden) + block.lstm.condition(context))
            left.append(block.inputs.init_past(batch, 1))
        return cache._replace(first=first_past), (first, terms, cache.cells), left

    def step(
        self, above: Any, left: Any, previous: Int[Array, "b k c"]
    ) -> tuple[Float[Array, "b k d"], Any, Any]:
        """See `AutoregressiveModel.step`: the input's part of the gates, and the cells."""
        first, terms, cells = above
        x, past = self.first.step(self.embedding(previous)[:, None], first, left[0])
        pasts, hiddens, new_cells = [past], [], []
        for block, above_terms, cell, past in zip(
            self.blocks.unstack(), terms, cells, left[1:], strict=True
        ):
            own_terms, past = block.inputs(x, past)
            hidden, cell = lstm_cell(above_terms + own_terms, cell)
            x = block.output(x, hidden)
            pasts.append(past)
            hiddens.append(hidden)
            new_cells.append(cell)
        return x[:, 0], pasts, (hiddens, new_cells)

    def end_row(self, cache: _Cache, pixels: Int[Array, "b 1 w c"], traces: Any) -> _Cache:
        """See `AutoregressiveModel.end_row`."""
        hidden, cells = traces
        return cache._replace(pixels=pixels, hidden=hidden, cells=cells)

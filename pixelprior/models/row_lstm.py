"""Row LSTM: an LSTM that runs down the rows, a whole row at a time.

Legend: b batch, h height, w width, c channels, d features, k columns of a step.

The network is a 7x7 convolution that excludes its own position, then residual LSTM layers. A
layer's state at a position comes from the layer's input there and to the left, and from the states
of k columns of the row above [1, section 3.1]. The receptive field of a position is a triangle that
widens upwards, to the top of the image. The pixels to the right of this triangle, in the rows just
above, are a blind spot. `DiagonalBiLSTM` has almost none.

Where we deviate from [1]:

- Taps that a mask would set to zero do not exist (see `Left` and `MaskedConv`).
- Only the head conditions channels on each other (see `SoftmaxHead`).
- Forget gates start open, with a bias of 1.
- Context, which [1] does not have, enters the gates of each layer.
- Dropout applies to the hidden states at the output of a layer. It does not apply to the states
  that go to the next row.
- Symbols enter as learned embeddings, which suit codes as well as intensities.

[1] van den Oord et al. 2016a, Pixel Recurrent Neural Networks, figure 5 and table 1.
"""

from typing import Any, NamedTuple, Unpack

from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.grid import Grid
from pixelprior.models.base import AutoregressiveModel, CommonSettings, Embedded, Features, row_of
from pixelprior.nn.causal import Left
from pixelprior.nn.conditioning import EncodedContext
from pixelprior.nn.dropout import Dropout
from pixelprior.nn.initializers import linear
from pixelprior.nn.lstm import LineLSTM, lstm_cell
from pixelprior.nn.masked_conv import MaskedConv
from pixelprior.sizes import check_kernel_sizes


class RowLSTMBlock(nnx.Module):
    """Residual LSTM layer: ``2 d`` features in, ``d`` inside, a 1x1 convolution back to ``2 d``."""

    def __init__(
        self,
        d: int,
        *,
        kernel_size: int,
        context_features: int,
        dropout_rate: float,
        rngs: nnx.Rngs,
    ):
        # These are the taps that a masked kernel keeps: the own column, and the columns before it.
        self.inputs = Left(kernel_size // 2 + 1, 2 * d, 4 * d, rngs=rngs)
        self.lstm = LineLSTM(kernel_size, d, context_features=context_features, rngs=rngs)
        self.dropout = Dropout(dropout_rate)
        self.expand = linear(d, 2 * d, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "h b w 2*d"],
        context: Float[Array, "#h b #w c"] | None,
        dropout_key: Array | None = None,
    ) -> Float[Array, "h b w 2*d"]:
        """Apply the layer to whole grids; rows are the leading axis."""
        terms, _ = self.inputs(x, self.inputs.init_past(*x.shape[:2]))
        hidden = self.lstm(terms + self.lstm.condition(context))
        return self.output(x, hidden, dropout_key)

    def output(
        self,
        x: Float[Array, "*n 2*d"],
        hidden: Float[Array, "*n d"],
        dropout_key: Array | None = None,
    ) -> Float[Array, "*n 2*d"]:
        """Return the layer's result, given its hidden states."""
        # There is dropout only in training, where rows are the leading axis.
        hidden = self.dropout(hidden, dropout_key, axis=1)
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
        grid: size, channels and values per symbol of the grids.
        features: size of hidden states and cells (h of the paper; the residual stream has 2 h).
        num_layers: number of residual LSTM layers.
        kernel_size: number of columns of the row above that a state depends on; odd. The kernel
            over the input reaches as far to the left.
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
        features: int = 48,
        num_layers: int = 4,
        kernel_size: int = 3,
        first_kernel_size: int = 7,
        rngs: nnx.Rngs,
        **common: Unpack[CommonSettings],
    ):
        check_kernel_sizes(kernel_size=kernel_size)
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
        # The scan over rows needs them as the leading axis. Transpose once, not in every layer.
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
        """See `AutoregressiveModel.start_row`; computes the terms from the row above."""
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
        """See `AutoregressiveModel.step`; adds the input's part of the gates, updates the cells."""
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

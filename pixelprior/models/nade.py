"""NADE: one hidden layer for each pixel, with shared weights.

Legend: b batch, h height, w width, c channels, e features of an embedding, d hidden units, f output
features, m and n: features in and out, k columns of a step.

Pixel i has a hidden layer, which depends on all earlier pixels [1, section 3]:

    sum of i    = bias + sum over j < i of x[j] W[j]
    hidden of i = tanh(sum of i)
    output of i = hidden of i V[i] + output bias[i]

All hidden layers share the weights W[j] of pixel j. The sum of a pixel is therefore the sum of the
pixel before it, plus one term. Training and sampling carry the sum from pixel to pixel. An image
costs as much as one hidden layer of d units. A training step takes h * w sequential steps.

The model is a baseline. Every pixel has its own weights, so it does not learn that a stroke looks
the same everywhere.

Where we deviate from [1]:

- Hidden units are tanh, and not sigmoid. With other weights, both give the same distributions.
  Training is faster with values around zero.
- Symbols have any number of values and channels. They enter as learned embeddings, where [2] has a
  column of W for each value.
- Each output is a vector for the head, which all pixels share. Only the head conditions channels on
  each other (see `SoftmaxHead`).
- Context, which [1] does not have, is added to the sums.

[1] Larochelle and Murray 2011, The Neural Autoregressive Distribution Estimator.
[2] Larochelle and Lauly 2012, A Neural Autoregressive Topic Model.
"""

from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int, Key

from pixelprior.context import Context
from pixelprior.grid import Grid
from pixelprior.models.base import AutoregressiveModel, CommonSettings, Embedded, Features, row_of
from pixelprior.nn.compiled import compiled
from pixelprior.nn.conditioning import EncodedContext
from pixelprior.nn.dropout import Dropout
from pixelprior.nn.image_keys import split_keys
from pixelprior.nn.initializers import fan_in, small_biases, zeros
from pixelprior.nn.stack import fetched
from pixelprior.sizes import check_sizes


class PixelKernels(nnx.Module):
    """A kernel of its own for each pixel of a grid, in raster order."""

    def __init__(self, grid: Grid, m: int, n: int, *, scale: float, rngs: nnx.Rngs):
        shape = (grid.height * grid.width, m, n)
        self.kernel = nnx.Param(fan_in(scale)(rngs.params(), shape))


class _Weights(NamedTuple):
    """Weights of the columns of a row.

    Attributes:
        inputs: from the pixel before a column to the sum.
        outputs: from a column's hidden layer to its output.
        bias: of a column's output.
    """

    inputs: Float[Array, "w e*d"]
    outputs: Float[Array, "w d*f"]
    bias: Float[Array, "w f"]


class _Cache(NamedTuple):
    context: EncodedContext
    last: Int[Array, "b c"]  # the last pixel of the row above
    total: Float[Array, "b d"]  # the sum before that pixel


class NADE(AutoregressiveModel):
    """The NADE of Larochelle and Murray (2011).

    Args:
        grid: size, channels and values per symbol of the grids.
        features: number of hidden units.
        output_features: size of the vector that the head is given for each pixel.
        rngs: random number generators for the initial weights.
        common: settings of every model; see `AutoregressiveModel`. With ``remat``, a gradient
            stores one sum per row instead of a hidden layer per pixel. On CPUs this is also faster.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        features: int = 500,
        output_features: int = 16,
        rngs: nnx.Rngs,
        **common: Unpack[CommonSettings],
    ):
        super().__init__(grid, features, rngs=rngs, **common)
        check_sizes(output_features=output_features)
        e, pixels = self.embedding.features, grid.height * grid.width
        # No pixel is before the first one. Its weights have no effect.
        self.inputs = PixelKernels(grid, e, features, scale=1.0, rngs=rngs)
        self.bias = nnx.Param(zeros(features))
        # `fan_in` counts the inputs of all pixels. An output has those of one pixel.
        self.outputs = PixelKernels(grid, features, output_features, scale=pixels, rngs=rngs)
        self.output_bias = nnx.Param(small_biases(pixels, output_features))
        self.dropout = Dropout(self.dropout_rate)
        self.head = self.head_settings.make(grid, output_features, rngs=rngs)

    def network(self, x: Embedded, context: EncodedContext, dropout_key: Array | None) -> Features:
        """See `AutoregressiveModel.network`; a scan over rows."""
        batch, height, width, e = x.shape
        before = jnp.pad(x.reshape(batch, -1, e)[:, :-1], ((0, 0), (1, 0), (0, 0)))
        if context is not None:
            context = jnp.broadcast_to(context, (batch, height, *context.shape[2:]))
        rows = jax.tree.map(lambda y: jnp.moveaxis(y, 1, 0), (before.reshape(x.shape), context))
        keys = None
        if dropout_key is not None:
            keys = split_keys(dropout_key, height * width).reshape(height, width, batch)

        def row(total: Array, inputs: Any) -> tuple[Array, Float[Array, "b w f"]]:
            (x, context), weights, keys = inputs
            total, features, _ = self.columns(total, x, fetched(weights), context, keys)
            return total, features

        if self.remat:
            row = jax.checkpoint(row, prevent_cse=False)
        _, features = lax.scan(row, self._start(batch), (rows, self._weights(), keys))
        return jnp.moveaxis(features, 0, 1)

    def columns(
        self,
        total: Float[Array, "b d"],
        x: Float[Array, "b k e"],
        weights: _Weights,
        context: Float[Array, "b #k d"] | None,
        dropout_keys: Key[Array, "k b"] | None = None,
    ) -> tuple[Float[Array, "b d"], Float[Array, "b k f"], Float[Array, "b k d"]]:
        """Run along some columns of a row.

        Args:
            total: sum without the pixels of ``x``.
            x: embedded pixel before each column.
            weights: weights of the columns.
            context: encoded context of the columns.
            dropout_keys: keys for dropout.

        Returns:
            The sum after the last column, the features, and the sums of all columns.
        """
        batch, columns, e = x.shape
        if context is not None:
            context = jnp.broadcast_to(context, (batch, columns, context.shape[-1]))
        by_column = jax.tree.map(lambda y: jnp.moveaxis(y, 1, 0), (x, context))
        inputs = weights.inputs.reshape(columns, e, -1)
        outputs = weights.outputs.reshape(columns, inputs.shape[-1], -1)

        def column(total: Array, of_column: Any) -> tuple[Array, tuple[Array, Array]]:
            (x, context), (inputs, outputs, bias), keys = of_column
            # In float32: a bfloat16 sum of hundreds of terms would soon ignore the next one.
            total = total + (x @ inputs).astype(jnp.float32)
            hidden = jnp.tanh(total if context is None else total + context)
            hidden = self.dropout(hidden.astype(outputs.dtype), keys)
            return total, (hidden @ outputs + bias, total)

        parts = by_column, (inputs, outputs, weights.bias), dropout_keys
        total, (features, totals) = lax.scan(column, total, parts)
        return total, jnp.moveaxis(features, 0, 1), jnp.moveaxis(totals, 0, 1)

    def init_cache(self, batch: int, context: Context | None = None) -> _Cache:
        """See `AutoregressiveModel.init_cache`."""
        encoded = self.context_encoder(context, batch)
        return _Cache(encoded, self.outside_pixel(batch)[:, 0], self._start(batch))

    def start_row(self, cache: _Cache, row: Int[Array, ""]) -> tuple[_Cache, Any, Any]:
        """See `AutoregressiveModel.start_row`; adds the last pixel of the row above to the sum."""
        weights = jax.tree.map(
            lambda y: lax.dynamic_index_in_dim(y, row, keepdims=False), self._weights()
        )
        x = self.embedding(cache.last)
        total = cache.total + (x @ weights.inputs[0].reshape(x.shape[-1], -1)).astype(jnp.float32)
        context = row_of(cache.context, row)
        return cache, (weights, None if context is None else context[:, 0]), total

    @compiled()
    def step(
        self, above: Any, left: Any, previous: Int[Array, "b k c"]
    ) -> tuple[Float[Array, "b k f"], Any, Any]:
        """See `AutoregressiveModel.step`; adds one term per column to the sum."""
        # Before the first column, the sum is complete, and the embedding of `OUTSIDE` is zero.
        left, features, trace = self.columns(left, self.embedding(previous), *above)
        return features, left, trace

    def end_row(self, cache: _Cache, pixels: Int[Array, "b 1 w c"], traces: Any) -> _Cache:
        """See `AutoregressiveModel.end_row`; keeps the last pixel, and the sum before it."""
        return cache._replace(last=pixels[:, 0, -1], total=traces[:, -1])

    def _start(self, batch: int) -> Float[Array, "b d"]:
        """Return the sum before all pixels: the bias."""
        bias = self.bias[...].astype(jnp.float32)
        return jnp.broadcast_to(bias, (batch, bias.size))

    def _weights(self) -> _Weights:
        """Return the weights of all rows: arrays ``[h, w, ...]``."""
        height, width, _ = self.grid.shape
        arrays = self.inputs.kernel, self.outputs.kernel, self.output_bias
        return _Weights(*(y[...].reshape(height, width, -1) for y in arrays))

"""MADE: a fully connected network with masks that make it autoregressive.

Legend: b batch, h height, w width, c channels, d features, k columns of a step.

Each pixel has some units in every hidden layer. Its units in the first layer depend on all earlier
pixels. Its units in deeper layers, and its output, depend on the units of all earlier pixels and of
the pixel itself. These are the masks of [1, sections 4.1 and 4.2], if the degree of a unit is the
number of pixels before its own. The receptive field is all earlier pixels.

The model is a baseline. Every pair of pixels has its own weights, so it does not learn that a
stroke looks the same everywhere. The kernels grow with the square of the number of pixels. A mask
removes half of each (see `MaskedLinear`).

Sampling computes each unit once, at its own pixel, and keeps the units of all pixels. The weights
for the rows above are used once per row, in one product. Those within a row are used a second time.
A sample therefore costs 1 + 1/h evaluations.

Where we deviate from [1]:

- Degrees are not random. There is one mask, and one order: the raster order.
- No input is directly connected to an output.
- Each output is a vector for the head, which all pixels share. Only the head conditions channels on
  each other (see `SoftmaxHead`).
- Context, which [1] does not have, enters all units of the first hidden layer, without a mask.
- Symbols enter as learned embeddings, which suit codes as well as intensities.

[1] Germain et al. 2015, MADE: Masked Autoencoder for Distribution Estimation.
"""

from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.grid import Grid
from pixelprior.models.base import AutoregressiveModel, CommonSettings, Embedded, Features, row_of
from pixelprior.nn.conditioning import EncodedContext, context_layer
from pixelprior.nn.dropout import Dropout
from pixelprior.nn.image_keys import split_keys
from pixelprior.nn.initializers import small_biases
from pixelprior.nn.masked_linear import MaskedLinear
from pixelprior.sizes import check_sizes


class _Cache(NamedTuple):
    condition: Float[Array, "b h w d"] | None
    row: Int[Array, ""]
    inputs: list[Float[Array, "b h w d"]]  # of each layer, in the rows above


class MADE(AutoregressiveModel):
    """The MADE of Germain et al. (2015).

    Args:
        grid: size, channels and values per symbol of the grids.
        features: number of units per pixel in each hidden layer.
        num_layers: number of hidden layers.
        output_features: size of the vector per pixel that the head is given.
        rngs: random number generators for the initial weights.
        common: settings of every model; see `AutoregressiveModel`. The setting ``remat`` has no
            effect, because the features take little memory beside the kernels.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        features: int = 4,
        num_layers: int = 1,
        output_features: int = 16,
        rngs: nnx.Rngs,
        **common: Unpack[CommonSettings],
    ):
        super().__init__(grid, features, rngs=rngs, **common)
        check_sizes(num_layers=num_layers, output_features=output_features)
        pixels = grid.height * grid.width
        # A map has a vector for each pixel, and each unit sees all of them.
        contexts = pixels if self.context_shape.map_features else 1
        self.context = context_layer(self.context_features * contexts, pixels * features, rngs=rngs)
        sizes = [self.embedding.features] + [features] * num_layers
        self.hidden = nnx.List(
            [
                MaskedLinear("B" if number else "A", grid, d, features, rngs=rngs)
                for number, d in enumerate(sizes[:-1])
            ]
        )
        self.output = MaskedLinear(
            "B", grid, features, output_features, rngs=rngs, bias=small_biases
        )
        self.dropout = Dropout(self.dropout_rate)
        self.head = self.head_settings.make(grid, output_features, rngs=rngs)

    def condition(self, context: EncodedContext) -> Float[Array, "b h w d"] | None:
        """Return the context's terms for the first hidden layer."""
        if self.context is None or context is None:
            return None
        terms = self.context(context.reshape(len(context), -1))
        return terms.reshape(len(terms), *self.grid.shape[:2], -1)

    def network(self, x: Embedded, context: EncodedContext, dropout_key: Array | None) -> Features:
        """See `AutoregressiveModel.network`."""
        condition = self.condition(context)
        keys = split_keys(dropout_key, len(self.hidden))
        for number, (layer, key) in enumerate(zip(self.hidden, keys, strict=True)):
            x = layer(x)
            if number == 0 and condition is not None:
                x = x + condition
            x = self.dropout(jax.nn.relu(x), key)
        return self.output(x)

    def init_cache(self, batch: int, context: Context | None = None) -> _Cache:
        """See `AutoregressiveModel.init_cache`."""
        return _Cache(
            self.condition(self.context_encoder(context, batch)),
            jnp.zeros((), jnp.int32),
            [layer.init_cache(batch) for layer in self._layers()],
        )

    def start_row(self, cache: _Cache, row: Int[Array, ""]) -> tuple[_Cache, Any, Any]:
        """See `AutoregressiveModel.start_row`; the part of every layer in the rows above."""
        rows = [
            layer.start_row(x, row) for layer, x in zip(self._layers(), cache.inputs, strict=True)
        ]
        aboves, lefts = map(list, zip(*rows, strict=True))
        condition = row_of(cache.condition, row)
        if condition is not None:
            terms, own = aboves[0]
            aboves[0] = terms + condition, own
        return cache._replace(row=row), aboves, (jnp.zeros((), jnp.int32), lefts)

    def step(
        self, above: Any, left: Any, previous: Int[Array, "b k c"]
    ) -> tuple[Float[Array, "b k d"], Any, Any]:
        """See `AutoregressiveModel.step`; the units and outputs of the next columns."""
        column, lefts = left
        x, trace, after = self.embedding(previous)[:, None], [], []
        for number, (layer, terms, row) in enumerate(
            zip(self._layers(), above, lefts, strict=True)
        ):
            if number:
                x = jax.nn.relu(x)
                trace.append(x)
            x, row = layer.step(x, terms, row, column)
            after.append(row)
        return x[:, 0], (column + previous.shape[1], after), trace

    def end_row(self, cache: _Cache, pixels: Int[Array, "b 1 w c"], traces: Any) -> _Cache:
        """See `AutoregressiveModel.end_row`; stores the row's pixels and units."""
        rows = [self.embedding(pixels), *traces]
        return cache._replace(
            inputs=[
                lax.dynamic_update_slice_in_dim(x, row, cache.row, axis=1)
                for x, row in zip(cache.inputs, rows, strict=True)
            ]
        )

    def _layers(self) -> list[MaskedLinear]:
        return [*self.hidden, self.output]

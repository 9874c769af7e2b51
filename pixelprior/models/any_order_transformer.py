"""Transformer over the pixels of a grid in any order: exact completion of any region.

Legend: b batch, h height, w width, c channels, d features, e embedded features, v values, k columns
of a step, m neighbours, s slots.

A model in raster order can condition a pixel only on earlier pixels. This model is trained on many
orders, as in [1], [2] and [3]. For every order of the pixels it is an exact distribution:

    log p(x | order) = sum over t of log p(pixel t of the order | the pixels before it)

Different orders are different distributions, since nothing forces the network to agree with itself.
To draw around known pixels, put the known pixels first. Every drawn pixel is then conditioned on
all of them.

The pixels in their order form a sequence, which has the shape of the grid. On this sequence the
network is a causal transformer with the blocks of `Transformer`. It therefore runs in both ways of
`AutoregressiveModel`, with every sampler. The input at a place of the sequence is a sum:

- The pixel before it in the sequence is embedded, and so is the position of that pixel.
- The position of the pixel to predict is embedded, as in [2] and [3].
- A convolution reads the neighbours of that position that come earlier in the order.

Where we deviate from them:

- Positions are pixels, not channels. The head applies the chain rule to the channels of a pixel.
- The convolution over the known neighbours. Without it, a short training mostly learns that
  neighbours matter.
- In two thirds of the training's orders, some pixels come first in raster order. The rest follows
  in raster order, as in completions (`training_orders`). All orders are equally likely in the
  sources.
- Queries and keys are rotated by the positions of their pixels (`pixelprior.nn.rotary`).
- In [3], every pixel has a second token that holds its position. In [2], as here, it has none.

[1] Hoogeboom et al. 2022, Autoregressive Diffusion Models.
[2] Pannatier et al. 2024, sigma-GPTs: A New Approach to Autoregressive Models.
[3] Pang et al. 2025, RandAR: Decoder-only Autoregressive Visual Generation in Random Orders.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key

from pixelprior.context import Context, ContextShape
from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.models.base import (
    AutoregressiveModel,
    CommonSettings,
    Embedded,
    Features,
    GridModel,
    Stage,
    Symbols,
    check_grids,
    row_of,
)
from pixelprior.nn.attention import AttentionCache
from pixelprior.nn.compiled import compiled
from pixelprior.nn.conditioning import EncodedContext
from pixelprior.nn.context_encoder import ContextEncoder
from pixelprior.nn.embedding import OUTSIDE
from pixelprior.nn.image_keys import image_keys, split_keys
from pixelprior.nn.initializers import layer_norm
from pixelprior.nn.order_stem import OrderStem, neighbours_before
from pixelprior.nn.orders import (
    Order,
    Positions,
    inverse,
    order_around,
    random_orders,
    raster_order,
    rearrange,
    training_orders,
)
from pixelprior.nn.rotary import Rotations, rotation
from pixelprior.nn.transformer_blocks import (
    TransformerBlock,
    end_rows,
    init_caches,
    run_blocks,
    start_rows,
    step_blocks,
)


class AnyOrderTransformer(GridModel):
    """A distribution over grids for every order of the pixels.

    The context holds the order, see `Context`. Without one, the order is the raster order. In
    training without one, each image has one of the `training_orders`.

    Args:
        grid: size, channels and values per symbol of the grids.
        features: number of features of the residual stream; a multiple of 4 times ``num_heads``.
        num_layers: number of blocks of attention and perceptron.
        num_heads: number of heads of each attention layer.
        first_kernel_size: size of the square of neighbours that the first layer reads; odd.
        rngs: random number generators for the initial weights.
        common: settings of every model; see `AutoregressiveModel`.

    Raises:
        InputError: if ``first_kernel_size`` is even or below 3, or the features of a head are not a
            multiple of 4.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        features: int = 64,
        num_layers: int = 6,
        num_heads: int = 4,
        first_kernel_size: int = 7,
        rngs: nnx.Rngs,
        **common: Unpack[CommonSettings],
    ):
        self.sequence: AutoregressiveModel = _Sequence(
            grid,
            features=features,
            num_layers=num_layers,
            num_heads=num_heads,
            first_kernel_size=first_kernel_size,
            rngs=rngs,
            **common,
        )
        self.grid = grid
        self.context_shape = self.sequence.context_shape

    def stages(self) -> Sequence[Stage]:
        """See `GridModel.stages`; the only stage is the sequence."""
        return [
            Stage(
                self.sequence,
                lambda context, batch: inverse(self._order(context, batch)),
                lambda context, batch, _: self._of_sequence(context, batch),
            )
        ]

    def with_networks(
        self, change: Callable[[AutoregressiveModel], AutoregressiveModel]
    ) -> GridModel:
        """See `GridModel.with_networks`; the only network is the one over sequences."""
        model = nnx.clone(self)
        model.sequence = change(self.sequence)
        return model

    def around(self, context: Context | None, known: Bool[Array, "b h w"]) -> Context:
        """See `GridModel.around`; the known pixels come first."""
        order = order_around(self._order(context, len(known)), known)
        return _with_order(context, order)

    def in_random_order(self, context: Context | None, keys: Key[Array, " b"]) -> Context:
        """See `GridModel.in_random_order`; all orders are equally likely."""
        return _with_order(context, random_orders(keys, self.grid))

    @compiled(check_grids)
    def log_prob(
        self, x: Symbols, context: Context | None = None, *, dropout_key: Array | None = None
    ) -> Float[Array, " b"]:
        """See `GridModel.log_prob`.

        With a dropout key and without an order, the order of each image is random, see
        `training_orders`.
        """
        return self._sequence_log_prob(x, context, dropout_key).sum(axis=(1, 2))

    @compiled(check_grids)
    def pixel_log_prob(self, x: Symbols, context: Context | None = None) -> Float[Array, "b h w"]:
        """Return the log-probability of each pixel, given the pixels before it in the order.

        Arguments and errors are those of `log_prob`. The result is in nats.
        """
        of_sequence = self._sequence_log_prob(x, context, None)
        return rearrange(of_sequence, self._order(context, len(x)))

    @compiled(check_grids)
    def logits(self, x: Symbols, context: Context | None = None) -> Float[Array, "b h w c v"]:
        """See `GridModel.logits`."""
        order = self._order(context, len(x))
        of_sequence = self._of_sequence(context, len(x))
        logits = self.sequence.logits(rearrange(x, inverse(order)), of_sequence)
        return rearrange(logits, order)

    def _sequence_log_prob(
        self, x: Symbols, context: Context | None, dropout_key: Array | None
    ) -> Float[Array, "b h w"]:
        if dropout_key is not None:
            keys, dropout_key = split_keys(image_keys(dropout_key, len(x)), 2)
            if context is None or context.order is None:
                context = _with_order(context, training_orders(keys, self.grid))
        positions = inverse(self._order(context, len(x)))
        return self.sequence.pixel_log_prob(
            rearrange(x, positions), self._of_sequence(context, len(x)), dropout_key=dropout_key
        )

    def default_order(self, batch: int) -> Order:
        """Return the order of a context without one: the raster order."""
        return raster_order(batch, self.grid)

    def _order(self, context: Context | None, batch: int) -> Order:
        if context is None or context.order is None:
            return self.default_order(batch)
        return context.order

    def _of_sequence(self, context: Context | None, batch: int) -> Context:
        """Return the context of the sequence, whose map is in the order of the sequence."""
        order = self._order(context, batch)
        context = context or Context()
        map_ = None if context.map is None else rearrange(context.map, inverse(order))
        return dataclasses.replace(context, map=map_, order=order)


def _with_order(context: Context | None, order: Order) -> Context:
    return dataclasses.replace(context or Context(), order=order)


class _Conditions(NamedTuple):
    """Everything that the network is given besides the symbols.

    Attributes:
        context: see `ContextEncoder`, in the order of the sequence.
        positions: see `pixelprior.nn.orders`.
        neighbours: see `neighbours_before`.
    """

    context: EncodedContext
    positions: Positions
    neighbours: Int[Array, "b h w m"]


class _SequenceContextEncoder(ContextEncoder):
    """Encoder that also returns the order, in the forms that the stem needs."""

    def __init__(self, shape: ContextShape, d: int, *, kernel_size: int, rngs: nnx.Rngs):
        super().__init__(shape, d, rngs=rngs)
        self.kernel_size = kernel_size

    def __call__(self, context: Context | None, batch: int) -> Any:
        assert context is not None and context.order is not None  # the grid's model gives it
        neighbours = neighbours_before(context.order, self.kernel_size)
        return _Conditions(super().__call__(context, batch), inverse(context.order), neighbours)


class _Cache(NamedTuple):
    conditions: _Conditions
    row: Int[Array, ""]
    slots: Float[Array, "b s e"]  # see `OrderStem`
    blocks: list[AttentionCache]


class _Left(NamedTuple):
    """State after some columns: the slots, the number of pixels, and the states of the blocks."""

    slots: Float[Array, "b s e"]
    pixels: Int[Array, ""]
    blocks: list[Any]


class _Sequence(AutoregressiveModel):
    """The network over sequences: a model in raster order of the sequence's shape."""

    context_encoder: "_SequenceContextEncoder"

    def __init__(
        self,
        grid: Grid,
        *,
        features: int,
        num_layers: int,
        num_heads: int,
        first_kernel_size: int,
        rngs: nnx.Rngs,
        **common: Unpack[CommonSettings],
    ):
        super().__init__(grid, features, rngs=rngs, **common)
        if first_kernel_size < 3 or first_kernel_size % 2 == 0:
            raise InputError(f"first_kernel_size must be odd and above 1, got {first_kernel_size}")
        # The number of heads itself is checked by the attention.
        if num_heads > 0 and features % num_heads == 0 and features // num_heads % 4:
            raise InputError(
                f"each head must have a multiple of 4 features, got {features // num_heads}; "
                "change features or num_heads"
            )
        self.context_shape = dataclasses.replace(self.context_shape, any_order=True)
        self.context_encoder = _SequenceContextEncoder(
            self.context_shape, features, kernel_size=first_kernel_size, rngs=rngs
        )
        self.stem = OrderStem(grid, first_kernel_size, self.embedding.features, features, rngs=rngs)
        self.blocks = self.stack(
            num_layers,
            TransformerBlock,
            features,
            num_heads=num_heads,
            window_rows=grid.height,
            rngs=rngs,
        )
        self.features_of_head = features // num_heads
        self.norm = layer_norm(features, rngs=rngs)
        self.head = self.head_settings.make(grid, features, rngs=rngs)

    def network(self, x: Embedded, context: Any, dropout_key: Array | None) -> Features:
        """See `AutoregressiveModel.network`."""
        flat = x.reshape(len(x), -1, x.shape[-1])
        slots = jnp.pad(flat, ((0, 0), (1, 0), (0, 0)))
        previous, places = slots[:, :-1].reshape(x.shape), self.stem.places(context.positions)
        x = self.stem(slots, previous, context.neighbours, places)
        rotations = self._rotations(context.positions)
        return self.norm(run_blocks(self.blocks, x, context.context, dropout_key, rotations))

    def init_cache(self, batch: int, context: Context | None = None) -> _Cache:
        """See `AutoregressiveModel.init_cache`."""
        height, width, _ = self.grid.shape
        table = self.embedding.table[...]
        return _Cache(
            self.context_encoder(context, batch),
            jnp.zeros((), jnp.int32),
            jnp.zeros((batch, height * width + 1, table.shape[-1]), table.dtype),
            init_caches(self.blocks, batch, height, width),
        )

    def start_row(self, cache: _Cache, row: Int[Array, ""]) -> tuple[_Cache, Any, _Left]:
        """See `AutoregressiveModel.start_row`; the places and neighbours, and the context."""
        context, positions, neighbours = cache.conditions
        terms, states = start_rows(self.blocks, cache.blocks, row_of(context, row), row)
        places = row_of(self.stem.places(positions), row)
        rotations = jax.tree.map(lambda x: row_of(x, row), self._rotations(positions))
        left = _Left(cache.slots, row * self.grid.width, states)
        above = places, row_of(neighbours, row), rotations, terms
        return cache._replace(row=row), above, left

    def step(
        self, above: Any, left: _Left, previous: Int[Array, "b k c"]
    ) -> tuple[Float[Array, "b k d"], _Left, Any]:
        """See `AutoregressiveModel.step`; runs all blocks at the next places of the sequence."""
        places, neighbours, rotations, terms = above
        # The first column's is not given. Its slot was filled at the end of the row before.
        given = previous[..., :1] != OUTSIDE
        here = lax.dynamic_slice_in_dim(left.slots, left.pixels, previous.shape[1], axis=1)
        here = jnp.where(given, self.embedding(previous), here)
        slots = lax.dynamic_update_slice_in_dim(left.slots, here, left.pixels, axis=1)
        x = self.stem(slots, here[:, None], neighbours, places)
        x, states, traces = step_blocks(self.blocks, x, terms, left.blocks, rotations)
        left = _Left(slots, left.pixels + previous.shape[1], states)
        return self.norm(x)[:, 0], left, traces

    def end_row(self, cache: _Cache, pixels: Int[Array, "b 1 w c"], traces: Any) -> _Cache:
        """See `AutoregressiveModel.end_row`; stores the row's pixels, keys and values."""
        slots = lax.dynamic_update_slice_in_dim(
            cache.slots, self.embedding(pixels[:, 0]), cache.row * self.grid.width + 1, axis=1
        )
        return cache._replace(slots=slots, blocks=end_rows(self.blocks, cache.blocks, traces))

    def _rotations(self, positions: Positions) -> Rotations:
        """Return the rotations of queries and keys, by their place in the sequence.

        A query asks for the pixel of its place, and a key offers the pixel before it.
        """
        width, size = self.grid.width, self.features_of_head
        rows, columns = positions // width, positions % width
        of_query = rotation(rows, columns, size)
        flat = of_query.reshape(len(positions), -1, size)
        of_key = jnp.pad(flat[:, :-1], ((0, 0), (1, 0), (0, 0))).reshape(of_query.shape)
        return Rotations(of_query, of_key)

"""What every model is: an exact distribution over grids, factored in raster order.

Legend: b batch, h height, w width, c channels, d features.

A model's network runs two ways with the same weights.

*The grid*, to learn and to score: `AutoregressiveModel.features` gives one vector per position,
and the head turns each into the log-probability of the pixel there.

*The position*, to sample and to code. What the network computes splits into work that looks at
the rows above, done once per row for the whole row, and work that looks along the current row,
done for the columns that are next, one or several:

    cache = model.init_cache(batch, context)
    for row in range(h):
        cache, above, left = model.start_row(cache, row)
        for columns in the row's blocks of columns:
            features, left, trace = model.step(above[..., columns, :], left, previous)
            ...pixels drawn from the head, given these features...
        cache = model.end_row(cache, pixels, traces)

Both loops are scans, and ``traces`` is what the inner one puts side by side: nothing is written
into a buffer position by position, and what is remembered is a few rows, not the image times the
depth. All states are plain pytrees, given and returned: so columns can be evaluated again, from the
same state, with other pixels.
"""

import abc
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self, TypedDict, Unpack

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.context import Context, ContextShape
from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.nn.compiled import compiled
from pixelprior.nn.conditioning import EncodedContext
from pixelprior.nn.constructed import Constructed
from pixelprior.nn.context_encoder import ContextEncoder
from pixelprior.nn.embedding import OUTSIDE, SymbolEmbedding
from pixelprior.nn.head import Head
from pixelprior.nn.heads import HeadSettings
from pixelprior.nn.stack import Stack

Symbols = Int[Array, "b h w c"]
Embedded = Float[Array, "b h w e"]
Features = Float[Array, "b h w d"]
Cache = Any
AboveTerms = Any
LeftState = Any
Trace = Any

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
"""What a network may compute in."""


class GridModel(Constructed, nnx.Module, metaclass=abc.ABCMeta):
    """An exact distribution over the grids of one kind, given a context.

    Attributes:
        grid: what it is a distribution over.
        context_shape: what it is conditioned on.
    """

    grid: Grid
    context_shape: ContextShape

    @abc.abstractmethod
    def stages(self) -> Sequence["Stage"]:
        """What is drawn one after the other, the last of it the whole grid."""

    @abc.abstractmethod
    def log_prob(
        self, x: Symbols, context: Context | None = None, *, dropout_key: Array | None = None
    ) -> Float[Array, " b"]:
        """The log-probability of each grid, in nats.

        Args:
            x: symbols in ``[0, levels)``.
            context: what the distribution is conditioned on; must fit what the model was built for.
            dropout_key: training draws its dropout from this key; without one there is none.

        Raises:
            InputError: if ``x`` is not a batch of the model's grids, or the context does not fit.
        """

    @abc.abstractmethod
    def logits(self, x: Symbols, context: Context | None = None) -> Float[Array, "b h w c v"]:
        """The distribution of each symbol, given those before it in the model's own order.

        Unnormalised; for grids that are looked at one by one: all levels of all symbols are kept.
        Arguments and errors as for `log_prob`.
        """


class Stage(NamedTuple):
    """A part of a grid that is drawn in raster order, given what the stage before it has drawn.

    Attributes:
        model: of the stage's grid. What the stage before has drawn is part of it, and is known.
        stride: the stage's grid is every so many-th pixel of every so many-th row.
        context: what the stage's model is conditioned on, from the context of the whole model and
            the stage's grids with what earlier stages have drawn; those are None for the first.
    """

    model: "AutoregressiveModel"
    stride: int
    context: Callable[[Context | None, Any], Context | None]


def check_grids(model: GridModel, x: Symbols, context: Context | None = None, **_: Any) -> None:
    """Raise an InputError unless ``x`` and the context are what the model takes."""
    model.grid.check(x)
    model.context_shape.check(context, x.shape[0])


class CommonSettings(TypedDict, total=False):
    """What every model's constructor takes; see `AutoregressiveModel`."""

    embedding_features: int
    head: str
    head_features: int
    num_mixtures: int
    dropout_rate: float
    num_classes: int
    null_class: bool
    map_features: int
    dtype: str
    remat: bool


COMMON_DEFAULTS: CommonSettings = {
    "embedding_features": 16,
    "head": "softmax",
    "head_features": 128,
    "num_mixtures": 10,
    "dropout_rate": 0.0,
    "num_classes": 0,
    "null_class": False,
    "map_features": 0,
    "dtype": "float32",
    "remat": False,
}


class AutoregressiveModel(GridModel):
    """A model in raster order: row by row, left to right, channel by channel.

    A model supplies the network, in its two ways, and a head; everything else is written once,
    here, in `pixelprior.sampling` and in `pixelprior.evaluation`.

    Args:
        grid: what it is a distribution over.
        features: size of the vectors that stand for the context.
        rngs: where the initial weights come from.
        embedding_features: size of a symbol's vector.
        head: "softmax" for any symbols, "logistic_mixture" for intensities.
        head_features: hidden units of the head.
        num_mixtures: logistics of a mixture.
        dropout_rate: share of a layer's hidden features dropped in training.
        num_classes: 0 for a model without classes.
        null_class: whether a grid may be of none of them, as guidance needs it.
        map_features: size of the vectors of the context's map; 0 for no map.
        dtype: "float32", or "bfloat16" for what the network computes in; weights and the head stay
            float32.
        remat: compute what layers hold anew in the backward pass, instead of keeping it.

    Attributes:
        context_features: size of the vectors that stand for the context; 0 if there is none.

    Raises:
        InputError: if there is no such head, or ``dtype`` is not one of `DTYPES`.
    """

    head: Head

    def __init__(
        self, grid: Grid, features: int, *, rngs: nnx.Rngs, **common: Unpack[CommonSettings]
    ):
        settings: CommonSettings = {**COMMON_DEFAULTS, **common}
        if settings["dtype"] not in DTYPES:
            raise InputError(f"dtype must be one of {', '.join(DTYPES)}, got {settings['dtype']!r}")
        self.grid = grid
        self.dtype = settings["dtype"]
        self.remat = settings["remat"]
        self.dropout_rate = settings["dropout_rate"]
        self.head_settings = HeadSettings(
            settings["head"], settings["head_features"], settings["num_mixtures"]
        )
        self.context_shape = ContextShape(
            grid,
            settings["num_classes"],
            settings["map_features"],
            bool(settings["num_classes"] and settings["null_class"]),
        )
        self.context_features = features if self.context_shape.takes_any else 0
        self.context_encoder = ContextEncoder(self.context_shape, features, rngs=rngs)
        self.embedding = SymbolEmbedding(
            grid.channels, grid.levels, settings["embedding_features"], rngs=rngs
        )

    def stack(
        self, depth: int, block: Callable[..., Any], *sizes: Any, rngs: nnx.Rngs, **settings: Any
    ) -> Stack[Any]:
        """Blocks of one kind, conditioned, with dropout and recomputed as the model is."""
        settings |= {"context_features": self.context_features, "dropout_rate": self.dropout_rate}
        return Stack(
            lambda rngs: block(*sizes, **settings, rngs=rngs), depth, remat=self.remat, rngs=rngs
        )

    def stages(self) -> Sequence[Stage]:
        """See `GridModel.stages`: the model itself."""
        return [Stage(self, 1, lambda context, _: context)]

    # The whole grid.

    @abc.abstractmethod
    def network(self, x: Embedded, context: EncodedContext, dropout_key: Array | None) -> Features:
        """`features`, of embedded symbols and an encoded context, in the dtype of the weights."""

    @compiled(check_grids)
    def features(
        self, x: Symbols, context: Context | None = None, *, dropout_key: Array | None = None
    ) -> Float[Array, "b h w d"]:
        """One vector per position, which depends only on the pixels before it in raster order.

        Arguments and errors as for `log_prob`.
        """
        model = self.in_dtype()
        # Bytes hold neither `OUTSIDE` nor the places of several channels in one table.
        embedded = model.embedding(x.astype(jnp.int32))
        encoded = model.context_encoder(context, x.shape[0])
        return model.network(embedded, encoded, dropout_key).astype(jnp.float32)

    @compiled(check_grids)
    def log_prob(
        self, x: Symbols, context: Context | None = None, *, dropout_key: Array | None = None
    ) -> Float[Array, " b"]:
        """See `GridModel.log_prob`."""
        return self.pixel_log_prob(x, context, dropout_key=dropout_key).sum(axis=(1, 2))

    @compiled(check_grids)
    def pixel_log_prob(
        self, x: Symbols, context: Context | None = None, *, dropout_key: Array | None = None
    ) -> Float[Array, "b h w"]:
        """The log-probability of each pixel, given those before it, in nats.

        Arguments and errors as for `log_prob`.
        """
        features = self.features(x, context, dropout_key=dropout_key)
        return self.head.log_prob(features, x.astype(jnp.int32))

    @compiled(check_grids)
    def logits(self, x: Symbols, context: Context | None = None) -> Float[Array, "b h w c v"]:
        """See `GridModel.logits`."""
        features = self.features(x, context)
        x = x.astype(jnp.int32)
        channels = [self.head.logits(features, x[..., :c]) for c in range(self.grid.channels)]
        return jnp.stack(channels, axis=-2)

    def in_dtype(self) -> Self:
        """This model with the network's weights rounded to what it computes in.

        Activations follow the weights. The head is left in float32, and the weights that are
        trained are not touched: what comes of them does not get lost in their rounding.
        """
        dtype = DTYPES[self.dtype]
        if dtype == jnp.float32:
            return self
        graph, *parts = nnx.split(self, lambda path, _: "head" in path, ...)
        head, network = parts
        return nnx.merge(graph, head, jax.tree.map(lambda w: w.astype(dtype), network))

    # Position by position.

    @abc.abstractmethod
    def init_cache(self, batch: int, context: Context | None = None) -> Cache:
        """What is known before the first row: the encoded context, and nothing above."""

    @abc.abstractmethod
    def start_row(self, cache: Cache, row: Int[Array, ""]) -> tuple[Cache, AboveTerms, LeftState]:
        """All work of one row that looks only at the rows above it.

        Returns:
            The cache; what the rows above contribute to every position of this one, arrays
            ``[..., w, d]``; and the state before the first column.
        """

    @abc.abstractmethod
    def step(
        self,
        above: AboveTerms,
        left: LeftState,
        previous: Int[Array, "b k c"],
    ) -> tuple[Float[Array, "b k d"], LeftState, Trace]:
        """The features of the next ``k`` columns, if the pixels to their left are as given.

        Args:
            above: these columns, as a chunk ``[..., k, d]``, of what `start_row` gave.
            left: what the columns to the left have left behind.
            previous: for each of them the pixel just left of it; `OUTSIDE` at the first of a row.

        Returns:
            The features; the state after these columns; and what `end_row` needs of them, arrays
            ``[..., k, d]``.
        """

    @abc.abstractmethod
    def end_row(self, cache: Cache, pixels: Int[Array, "b 1 w c"], traces: Trace) -> Cache:
        """Takes a finished row in: its pixels, and the traces of `step`, arrays ``[..., w, d]``."""

    @property
    def column_multiple(self) -> int:
        """Where `step` may begin, if it is for more than one column: at multiples of this."""
        return 1

    def outside_row(self, batch: int) -> Int[Array, "b 1 w c"]:
        """The row of pixels above the first: there are none."""
        return jnp.full((batch, 1, self.grid.width, self.grid.channels), OUTSIDE, jnp.int32)

    def outside_pixel(self, batch: int) -> Int[Array, "b 1 c"]:
        """The pixel to the left of the first column: there is none."""
        return jnp.full((batch, 1, self.grid.channels), OUTSIDE, jnp.int32)


def row_of(context: EncodedContext, row: Int[Array, ""]) -> Float[Array, "b 1 #w e"] | None:
    """One row of an encoded context."""
    if context is None or context.shape[1] == 1:
        return context
    return jax.lax.dynamic_slice_in_dim(context, row, 1, axis=1)


def side_by_side(blocks: Float[Array, "n ... k d"]) -> Float[Array, "... n*k d"]:
    """A row, from the chunks of its blocks of columns."""
    row = jnp.moveaxis(blocks, 0, -3)
    return row.reshape(*row.shape[:-3], -1, row.shape[-1])

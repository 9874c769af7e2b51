"""Base of all models: an exact distribution over grids, factored in raster order.

Legend: b batch, h height, w width, H and W: height and width of a stage's grid, c channels, d
features, e features of an embedding, k columns of a step, v values per symbol.

A model's network runs in two ways with the same weights.

*Whole grids*, for training and scoring. `AutoregressiveModel.features` returns one vector per
position. The head turns each vector into the log-probability of the pixel at that position.

*Position by position*, for sampling and coding. The work has two parts. One part reads the rows
above, and runs once per row for the whole row. The other part reads the current row, and runs for
the next columns, one or several at a time:

    cache = model.init_cache(batch, context)
    for row in range(h):
        cache, above, left = model.start_row(cache, row)
        for columns in the row's blocks of columns:
            features, left, trace = model.step(above[..., columns, :], left, previous)
            ...pixels drawn from the head, given these features...
        cache = model.end_row(cache, pixels, traces)

Both loops are scans, and ``traces`` holds the traces of the inner loop side by side. Nothing is
written into a buffer position by position. A layer keeps a few rows in memory (attention: the rows
of its window), not the whole image. All states are plain pytrees, passed in and returned. The same
columns can therefore be evaluated again, from the same state, with other pixels.
"""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self, TypedDict, Unpack

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, Key

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
from pixelprior.nn.image_keys import image_keys
from pixelprior.nn.stack import Stack, unstack_all
from pixelprior.sizes import check_shares, check_sizes

Symbols = Int[Array, "b h w c"]
Embedded = Float[Array, "b h w e"]
Features = Float[Array, "b h w d"]
Cache = Any
AboveTerms = Any
LeftState = Any
Trace = Any

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
"""Data types that a network can compute in, by name."""


class GridModel(Constructed, nnx.Module, metaclass=abc.ABCMeta):
    """An exact distribution over the grids of one kind, given a context.

    Attributes:
        grid: size, channels and values per symbol of the grids.
        context_shape: kind and size of the context that the model is conditioned on.
    """

    grid: Grid
    context_shape: ContextShape

    @abc.abstractmethod
    def stages(self) -> Sequence["Stage"]:
        """Return the stages of sampling, in order; the last one draws the whole grid."""

    @abc.abstractmethod
    def log_prob(
        self, x: Symbols, context: Context | None = None, *, dropout_key: Array | None = None
    ) -> Float[Array, " b"]:
        """Return the log-probability of each grid, in nats.

        Args:
            x: symbols in ``[0, levels)``.
            context: condition of the distribution; must fit the model's ``context_shape``.
            dropout_key: key for the dropout of training, or one key for each image, ``[b]``.
                Without a key there is no dropout.

        Raises:
            InputError: if ``x`` is not a batch of the model's grids, or the context does not fit.
        """

    @abc.abstractmethod
    def logits(self, x: Symbols, context: Context | None = None) -> Float[Array, "b h w c v"]:
        """Return the logits of each symbol, given the symbols before it in the model's own order.

        The logits are unnormalised. The result holds every value of every symbol, and therefore
        suits small numbers of grids. Arguments and errors are those of `log_prob`.
        """

    @abc.abstractmethod
    def with_networks(
        self, change: Callable[["AutoregressiveModel"], "AutoregressiveModel"]
    ) -> "GridModel":
        """Return a model like this one, with ``change`` of each of its networks.

        A network is a model in raster order: the model of a stage.
        """

    def around(self, context: Context | None, known: Bool[Array, "b h w"]) -> Context | None:
        """Return the context for drawing the other pixels around known ones.

        Most models have one order and return the context itself.
        """
        return context

    def in_random_order(self, context: Context | None, keys: Key[Array, " b"]) -> Context | None:
        """Return the context with a random order for each key, if the model takes an order."""
        return context


class Stage(NamedTuple):
    """A part of a grid that is drawn in raster order, given the pixels of the stage before it.

    Attributes:
        model: model of the stage's grid. This grid includes the pixels that the stage before has
            drawn; they are known.
        positions: function that returns the number of the stage's pixels in the whole grid, in
            raster order, as an array of the stage's height and width. Its arguments are the context
            of the whole model, and the number of images. The result has one entry for each image,
            or one for all. None means that the stage's grid is the whole grid.
        context: function that returns the context of the stage's model. Its arguments are the
            context of the whole model, the number of images, and the stage's grids with the pixels
            of earlier stages. These grids are None for the first stage.
    """

    model: "AutoregressiveModel"
    positions: Callable[[Context | None, int], Int[Array, "#b H W"] | None]
    context: Callable[[Context | None, int, Any], Context | None]


def check_grids(model: GridModel, x: Symbols, context: Context | None = None, **_: Any) -> None:
    """Raise an InputError unless the model accepts ``x`` and the context."""
    model.grid.check(x)
    model.context_shape.check(context, x.shape[0])


class CommonSettings(TypedDict, total=False):
    """Settings that the constructor of every model accepts; see `AutoregressiveModel`."""

    embedding_features: int
    head: str
    head_features: int
    num_mixtures: int
    dropout_rate: float
    num_classes: int
    null_class: bool
    map_features: int
    vector_features: int
    turns: bool
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
    "vector_features": 0,
    "turns": False,
    "dtype": "float32",
    "remat": False,
}


def context_shape(grid: Grid, common: CommonSettings) -> ContextShape:
    """Return the kinds of context of a model with these settings. Others have their defaults."""
    settings: CommonSettings = {**COMMON_DEFAULTS, **common}
    shape = ContextShape(
        grid,
        num_classes=settings["num_classes"],
        map_features=settings["map_features"],
        vector_features=settings["vector_features"],
        turns=settings["turns"],
    )
    # Without a label or a vector, there is nothing to hide.
    return dataclasses.replace(shape, null_class=settings["null_class"] and shape.has_condition)


class AutoregressiveModel(GridModel):
    """A model in raster order: row by row, left to right, channel by channel.

    A subclass supplies the network, in both ways, and a head. Everything else is written once, in
    this class, in `pixelprior.sampling` and in `pixelprior.evaluation`.

    Args:
        grid: size, channels and values per symbol of the grids.
        features: size of the vectors of the encoded context.
        rngs: random number generators for the initial weights.
        embedding_features: size of the vector that embeds a symbol.
        head: "softmax" for any symbols, "logistic_mixture" for intensities.
        head_features: number of hidden units of the head.
        num_mixtures: number of logistics in a mixture.
        dropout_rate: share of a layer's hidden features dropped in training.
        num_classes: number of classes; 0 for a model without classes.
        null_class: add a null class, for grids without label and vector; guidance needs it.
        map_features: size of the vectors of the context's map; 0 for no map.
        vector_features: size of the context's vector; 0 for no vector.
        turns: also model grids that are turned or mirrored, if the context says so; training with
            ``distribution_augmentation`` needs it.
        dtype: type that the network computes in, "float32" or "bfloat16". The stored weights and
            the head stay float32.
        remat: recompute the values inside layers in the backward pass, instead of storing them.

    Attributes:
        context_features: size of the vectors of the encoded context; 0 without a context.

    Raises:
        InputError: if a size is not a positive integer, ``dropout_rate`` is not in [0, 1), the head
            is unknown, or ``dtype`` is not one of `DTYPES`.
    """

    head: Head

    def __init__(
        self, grid: Grid, features: int, *, rngs: nnx.Rngs, **common: Unpack[CommonSettings]
    ):
        settings: CommonSettings = {**COMMON_DEFAULTS, **common}
        if settings["dtype"] not in DTYPES:
            raise InputError(f"dtype must be one of {', '.join(DTYPES)}, got {settings['dtype']!r}")
        check_sizes(
            features=features,
            embedding_features=settings["embedding_features"],
            head_features=settings["head_features"],
            num_mixtures=settings["num_mixtures"],
        )
        check_shares(dropout_rate=settings["dropout_rate"])
        self.grid = grid
        self.dtype = settings["dtype"]
        self.remat = settings["remat"]
        self.dropout_rate = settings["dropout_rate"]
        self.head_settings = HeadSettings(
            settings["head"], settings["head_features"], settings["num_mixtures"]
        )
        self.context_shape = context_shape(grid, settings)
        self.context_features = features if self.context_shape.takes_any else 0
        self.context_encoder = ContextEncoder(self.context_shape, features, rngs=rngs)
        self.embedding = SymbolEmbedding(
            grid.channels, grid.levels, settings["embedding_features"], rngs=rngs
        )

    def stack(
        self, depth: int, block: Callable[..., Any], *sizes: Any, rngs: nnx.Rngs, **settings: Any
    ) -> Stack[Any]:
        """Return blocks of one kind, with the model's context size, dropout and ``remat``."""
        settings |= {"context_features": self.context_features, "dropout_rate": self.dropout_rate}
        return Stack(
            lambda rngs: block(*sizes, **settings, rngs=rngs), depth, remat=self.remat, rngs=rngs
        )

    def stages(self) -> Sequence[Stage]:
        """See `GridModel.stages`; the only stage is the model itself."""
        return [Stage(self, lambda *_: None, lambda context, *_: context)]

    def with_networks(
        self, change: Callable[["AutoregressiveModel"], "AutoregressiveModel"]
    ) -> "GridModel":
        """See `GridModel.with_networks`; the only network is the model itself."""
        return change(self)

    # The whole grid.

    @abc.abstractmethod
    def network(self, x: Embedded, context: EncodedContext, dropout_key: Array | None) -> Features:
        """Return the features, given embedded symbols and an encoded context.

        The result has the dtype of the weights.
        """

    @compiled(check_grids)
    def features(
        self, x: Symbols, context: Context | None = None, *, dropout_key: Array | None = None
    ) -> Float[Array, "b h w d"]:
        """Return one vector per position, which depends only on earlier pixels in raster order.

        Arguments and errors are those of `log_prob`.
        """
        model = self.in_dtype()
        # A byte cannot hold `OUTSIDE`, nor an index into the joint table of several channels.
        embedded = model.embedding(x.astype(jnp.int32))
        encoded = model.context_encoder(context, x.shape[0])
        return model.network(embedded, encoded, image_keys(dropout_key, len(x))).astype(jnp.float32)

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
        """Return the log-probability of each pixel, given the pixels before it, in nats.

        Arguments and errors are those of `log_prob`.
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
        """Return this model with the network's weights rounded to ``dtype``.

        Activations have the type of the weights. The head stays in float32. The trained weights
        also stay in float32, so that rounding does not lose small updates.
        """
        dtype = DTYPES[self.dtype]
        if dtype == jnp.float32:
            return self
        graph, *parts = nnx.split(self, lambda path, _: "head" in path, ...)
        head, network = parts
        return nnx.merge(graph, head, jax.tree.map(lambda w: w.astype(dtype), network))

    # Position by position.

    def for_steps(self) -> Self:
        """Return this model for a loop of steps: in ``dtype``, each layer with its own weights.

        The result is for the methods below. It cannot run over whole grids.
        """
        model = nnx.clone(self.in_dtype())
        unstack_all(model)
        return model

    @abc.abstractmethod
    def init_cache(self, batch: int, context: Context | None = None) -> Cache:
        """Return the cache before the first row: the encoded context, and empty rows above."""

    @abc.abstractmethod
    def start_row(self, cache: Cache, row: Int[Array, ""]) -> tuple[Cache, AboveTerms, LeftState]:
        """Do the part of a row's work that depends only on the rows above.

        Returns:
            The cache, the contribution of the rows above to every position of this row (arrays
            ``[..., w, d]``), and the state before the first column.
        """

    @abc.abstractmethod
    def step(
        self,
        above: AboveTerms,
        left: LeftState,
        previous: Int[Array, "b k c"],
    ) -> tuple[Float[Array, "b k d"], LeftState, Trace]:
        """Return the features of the next ``k`` columns, given the pixels to their left.

        Args:
            above: contribution of the rows above, from `start_row`, for these columns: a chunk
                ``[..., k, d]``.
            left: state after the columns to the left.
            previous: pixel just to the left of each column; `OUTSIDE` for the first column of a
                row.

        Returns:
            The features, the state after these columns, and the trace of these columns that
            `end_row` needs (arrays ``[..., k, d]``).
        """

    @abc.abstractmethod
    def end_row(self, cache: Cache, pixels: Int[Array, "b 1 w c"], traces: Trace) -> Cache:
        """Add a finished row to the cache.

        Args:
            cache: cache that `start_row` returned.
            pixels: pixels of the row.
            traces: traces of `step`, side by side: arrays ``[..., w, d]``.
        """

    @property
    def column_multiple(self) -> int:
        """A `step` of several columns must begin at a multiple of this number of columns."""
        return 1

    def outside_row(self, batch: int) -> Int[Array, "b 1 w c"]:
        """Return the row above the first row, which has no pixels: `OUTSIDE` everywhere."""
        return jnp.full((batch, 1, self.grid.width, self.grid.channels), OUTSIDE, jnp.int32)

    def outside_pixel(self, batch: int) -> Int[Array, "b 1 c"]:
        """Return the pixel to the left of the first column, which does not exist: `OUTSIDE`."""
        return jnp.full((batch, 1, self.grid.channels), OUTSIDE, jnp.int32)


def row_of(context: EncodedContext, row: Int[Array, ""]) -> Float[Array, "b 1 #w e"] | None:
    """Return one row of an encoded context."""
    if context is None or context.shape[1] == 1:
        return context
    return jax.lax.dynamic_slice_in_dim(context, row, 1, axis=1)


def side_by_side(blocks: Float[Array, "n ... k d"]) -> Float[Array, "... n*k d"]:
    """Join the chunks of a row's blocks of columns into the whole row."""
    row = jnp.moveaxis(blocks, 0, -3)
    return row.reshape(*row.shape[:-3], -1, row.shape[-1])

"""Distribution of an image's codes, level by level: P(top) P(bottom | top).

Legend: b batch, l levels, h height, w width, g codebooks (the channels of a code grid).

A level of codes is a grid of symbols, so its model is any `GridModel`. The model is given the class
and the vector of the image. Below the top it is also given a map that carries all coarser codes up
to the level's grid. The product over the levels is exact, and each factor is learned separately.
See Razavi et al. 2019, section 3.2. With one level this is the prior of van den Oord et al. 2017,
section 3.3.

For classifier-free guidance (Ho and Salimans 2021) the models have a null class. Training hides
class and vector of some images, and the null class stands for them.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from pixelprior.context import Context, ContextShape, hide_condition
from pixelprior.errors import InputError
from pixelprior.grid import Grid, check_grid
from pixelprior.models.base import GridModel
from pixelprior.models.guided import check_guidance, guided
from pixelprior.nn.code_context import CodeContext
from pixelprior.nn.compiled import compiled
from pixelprior.nn.constructed import Constructed
from pixelprior.nn.image_keys import fold_keys, image_keys, split_keys
from pixelprior.sampling.known import UNKNOWN, check_known
from pixelprior.sampling.rows import sample_rows
from pixelprior.sampling.sample import as_strategies, sample
from pixelprior.sampling.sampler import Sampler
from pixelprior.sampling.strategies import Strategy
from pixelprior.sizes import check_shares, check_sizes
from pixelprior.system.devices import bring_back, mesh_for, on_each_device, put_on
from pixelprior.system.programs import jit_by_structure
from pixelprior.tokenizers.vqvae import VQVAE

Codes = Sequence[Int[Array, "b _ _ _"]]


def _check_codes(prior: "Prior", codes: Codes, context: Context | None = None) -> None:
    """Raise an InputError unless codes are maps of all levels, and the context fits them."""
    Grid.check_maps(codes, prior.grids)
    prior.context_shape.check(context, len(codes[0]))


def _check_level(
    prior: "Prior", number: int, codes: Codes, context: Context | None = None, **_: Any
) -> None:
    """Check the codes down to a level, as `_check_codes` does."""
    Grid.check_maps(codes[: number + 1], prior.grids[: number + 1])
    prior.context_shape.check(context, len(codes[0]))


class Prior(Constructed, nnx.Module):
    """Exact distribution over the codes of all levels of a tokenizer.

    Args:
        grids: grids of the codes, the coarsest first: a tokenizer's ``code_grids``.
        models: constructors of the levels' models, called with a grid, ``num_classes``,
            ``vector_features``, ``null_class``, ``map_features`` and ``rngs``. A model's class
            works, or a `functools.partial` of it.
        num_classes: number of classes, without the null class; 0 if unconditional.
        vector_features: size of the vectors, for example of attributes; 0 for no vectors.
        label_dropout: share of the images whose class and vector are hidden in training. At 0 the
            null class stays untrained, and guidance is refused.
        context_features: width of the networks that carry coarser codes up.
        context_num_blocks: number of their residual blocks, on every grid on the way.
        rngs: source of the initial weights.

    Raises:
        InputError: if the grids do not fit each other, or there is not one model for each.
    """

    def __init__(
        self,
        grids: Sequence[Grid],
        models: Sequence[Callable[..., GridModel]],
        *,
        num_classes: int = 0,
        vector_features: int = 0,
        label_dropout: float = 0.1,
        context_features: int = 64,
        context_num_blocks: int = 2,
        rngs: nnx.Rngs,
    ):
        if not isinstance(grids, list | tuple) or not grids:
            raise InputError(
                "grids must be a list of the grids of the codes: a tokenizer's code_grids, got "
                f"{grids!r:.80}"
            )
        for grid in grids:
            check_grid(grid)
        if not isinstance(models, list | tuple) or not all(map(callable, models)):
            raise InputError(
                "models must be a list of constructors, such as pp.GatedPixelCNN or a "
                f"functools.partial of it, got {models!r:.80}"
            )
        if len(models) != len(grids):
            raise InputError(
                f"expected one model for each of {len(grids)} grids, got {len(models)}"
            )
        check_sizes(0, num_classes=num_classes, vector_features=vector_features)
        check_sizes(context_features=context_features)
        check_shares(label_dropout=label_dropout)
        self.grids = tuple(grids)
        self.num_classes = num_classes
        self.vector_features = vector_features
        conditional = bool(num_classes or vector_features)
        self.label_dropout = label_dropout if conditional else 0.0
        self.levels = nnx.List(
            [
                make(
                    grid,
                    num_classes=num_classes,
                    vector_features=vector_features,
                    null_class=conditional,
                    map_features=context_features if number else 0,
                    rngs=rngs,
                )
                for number, (make, grid) in enumerate(zip(models, grids, strict=True))
            ]
        )
        if any(level.context_shape.turns for level in self.levels):
            raise InputError("a prior cannot turn maps of codes; give models without turns=True")
        # None for the top level: nothing is coarser.
        self.contexts = nnx.List(
            [
                CodeContext(
                    grids[:number],
                    grids[number],
                    features=context_features,
                    num_blocks=context_num_blocks,
                    rngs=rngs,
                )
                for number in range(1, len(grids))
            ]
        )

    @property
    def num_codes(self) -> int:
        """Number of codes of an image, on all levels together."""
        return sum(grid.size for grid in self.grids)

    @property
    def context_shape(self) -> ContextShape:
        """Kinds of context that the prior takes: the class and the vector, which all levels share.

        Its grid is that of the coarsest level.
        """
        return dataclasses.replace(self.levels[0].context_shape, any_order=False)

    def check_guidance(self, guidance: float | None) -> None:
        """Raise an InputError if guidance is requested, but no null class was learned."""
        if guidance is not None and not self.label_dropout:
            raise InputError(
                "guidance needs a prior with classes or vectors that was trained with "
                "label_dropout above 0; this one was not"
            )

    @compiled(static=["number"])
    def context(
        self, number: int, coarser: Codes, context: Context | None = None
    ) -> Context | None:
        """Return the context of a level's model: that of the prior, and below the top the map.

        Args:
            number: number of the level, 0 for the coarsest.
            coarser: codes of the coarser levels.
            context: classes and vectors of the images, as `context_shape` describes them. Without
                them all images have the null class.

        Raises:
            InputError: if the codes do not have the shapes of the coarser grids.
        """
        if not number:
            return context
        return dataclasses.replace(context or Context(), map=self.contexts[number - 1](coarser))

    @compiled(_check_level, static=["number"])
    def level_log_prob(
        self,
        number: int,
        codes: Codes,
        context: Context | None = None,
        *,
        dropout_key: Array | None = None,
        order_keys: Key[Array, " b"] | None = None,
    ) -> Float[Array, " b"]:
        """Compute the log-probability of one level's codes, given all coarser codes, in nats.

        Args:
            number: number of the level, 0 for the coarsest.
            codes: maps of all levels, the coarsest first; levels finer than ``number`` are ignored.
            context: see `context`.
            dropout_key: in training, key for the dropout of features and of whole conditions, or
                one key for each image, ``[b]``.
            order_keys: keys for the random order of each image, for any-order models. Without them
                the order is the model's own, and in training random.

        Raises:
            InputError: if the codes are not maps of these levels, or the context does not fit.
        """
        context = self.context(number, codes[:number], context)
        if dropout_key is not None:
            keys = fold_keys(image_keys(dropout_key, len(codes[number])), number)
            hiding_keys, dropout_key = split_keys(keys, 2)
            context = hide_condition(context, self.label_dropout, hiding_keys)
        if order_keys is not None:
            keys = fold_keys(order_keys, number)
            context = self.levels[number].in_random_order(context, keys)
        return self.levels[number].log_prob(codes[number], context, dropout_key=dropout_key)

    @compiled(_check_codes)
    def log_prob(self, codes: Codes, context: Context | None = None) -> Float[Array, " b"]:
        """Compute the log-probability of the codes of all levels together, in nats.

        Any-order models take the raster order. The context is described at `context`.

        Raises:
            InputError: if there is not one map for each level, or the context does not fit.
        """
        return sum(
            (self.level_log_prob(number, codes, context) for number in range(len(codes))),
            start=jnp.zeros(codes[0].shape[0]),
        )

    def sample(
        self,
        key: Array,
        num: int,
        *,
        context: Context | None = None,
        strategy: Strategy | Sequence[Strategy | Sequence[Strategy]] = (),
        guidance: float | None = None,
        guidance_schedule: str = "constant",
        known: Codes | None = None,
        method: str | Sampler = "auto",
        first_image: int | Int[Array, ""] = 0,
        tokenizer: VQVAE | None = None,
    ) -> list[Int[Array, "num _ _ g"]] | Float[Array, "num h w c"]:
        """Draw the codes of images or, with a tokenizer, the images.

        Image n depends only on ``(key, n)``, its own context and its own known codes, as for
        `pixelprior.sample`. Sampling compiles once per structure, number, method and kind of
        strategies. It may be called inside other jitted code.

        Args:
            key: a typed JAX key.
            num: number of images.
            context: classes and vectors of the images; None for the null class, which is trained
                only with ``label_dropout`` above 0.
            strategy: strategies for every level, see `pixelprior.sample`; or one such sequence for
                each level, the coarsest first.
            guidance: see `guided`; None for none.
            guidance_schedule: see `guided`; the scale grows on each level anew.
            known: for each level, codes that are not drawn, see `pixelprior.sample`.
            method: see `pixelprior.sample`.
            first_image: number n of the first image.
            tokenizer: tokenizer of the codes.

        Returns:
            The maps of all levels, the coarsest first; with a tokenizer, pixels in [0, 1].

        Raises:
            InputError: if a setting does not fit the prior.
        """
        by_level, given = self._check_wanted(
            num, context, strategy, guidance, guidance_schedule, known
        )
        if tokenizer is not None and tokenizer.code_grids != self.grids:
            raise InputError(
                f"the tokenizer's codes are {tokenizer.code_grids}, but this prior's {self.grids}"
            )
        graph, weights = nnx.split(self)
        everyones = weights, key, by_level, guidance
        each_ones = first_image + jnp.arange(num), context, given
        mesh = mesh_for(num, everyones, each_ones)
        inputs = put_on(mesh, everyones, each_ones)
        codes = _sample_codes(
            *inputs, graph=graph, schedule=guidance_schedule, method=method, mesh=mesh
        )
        codes = bring_back(mesh, codes, weights)
        return codes if tokenizer is None else tokenizer.decode(codes)

    def sample_rows(
        self,
        key: Array,
        num: int,
        *,
        context: Context | None = None,
        strategy: Strategy | Sequence[Strategy | Sequence[Strategy]] = (),
        guidance: float | None = None,
        guidance_schedule: str = "constant",
        known: Codes | None = None,
        first_image: int | Int[Array, ""] = 0,
    ) -> Iterator[list[Int[Array, "num _ _ g"]]]:
        """Yield the codes that `sample` draws while they fill up: all maps after every row.

        The coarsest level comes first. Codes that are not drawn yet are `UNKNOWN`, see
        `pixelprior.sampling.sample_rows`. The arguments are those of `sample`.

        Raises:
            InputError: as `sample` does, at the call and not at the first row.
        """
        by_level, given = self._check_wanted(
            num, context, strategy, guidance, guidance_schedule, known
        )

        def fill() -> Iterator[list[Int[Array, "num _ _ g"]]]:
            maps = [
                jnp.full((num, *grid.shape), UNKNOWN, jnp.int32) if level is None else level
                for level, grid in zip(given, self.grids, strict=True)
            ]
            for number in range(len(maps)):
                for level in sample_rows(
                    self._guided(number, guidance, guidance_schedule),
                    jax.random.fold_in(key, number),
                    num,
                    context=self.context(number, maps[:number], context),
                    strategy=by_level[number],
                    known=given[number],
                    first_image=first_image,
                ):
                    maps[number] = level
                    yield list(maps)

        return fill()

    def _guided(
        self, number: int, guidance: float | Float[Array, ""] | None, schedule: str
    ) -> GridModel:
        return guided(self.levels[number], guidance, schedule)

    def _check_wanted(
        self,
        num: int,
        context: Context | None,
        strategy: Any,
        guidance: float | None,
        guidance_schedule: str,
        known: Codes | None,
    ) -> tuple[tuple[tuple[Strategy, ...], ...], list[Array | None]]:
        """Check the request; return the strategies and the known codes of each level."""
        if num < 1:
            raise InputError(f"num must be at least 1, got {num}")
        self.check_guidance(guidance)
        check_guidance(guidance, guidance_schedule)
        self.context_shape.check(context, num)
        by_level = _by_level(strategy, len(self.grids))
        if known is None:
            return by_level, [None] * len(self.grids)
        if not isinstance(known, list | tuple) or len(known) != len(self.grids):
            came = len(known) if isinstance(known, list | tuple) else f"a {type(known).__name__}"
            raise InputError(
                f"expected known codes as a list of {len(self.grids)} maps, got {came}"
            )
        given = [check_known(x, grid, num) for x, grid in zip(known, self.grids, strict=True)]
        return by_level, list(given)


@jit_by_structure()
def _sample_codes(everyones, each_ones, *, graph, schedule, method, mesh):
    def draw(everyones, each_ones):
        (weights, key, strategies, guidance), (images, context, known) = everyones, each_ones
        prior, num = nnx.merge(graph, weights), len(images)
        codes: list[Array] = []
        for number in range(len(prior.levels)):
            drawn = sample(
                prior._guided(number, guidance, schedule),
                jax.random.fold_in(key, number),
                num,
                context=prior.context(number, codes, context),
                strategy=strategies[number],
                known=known[number],
                method=method,
                first_image=images[0],
            )
            codes.append(drawn)
        return codes

    return on_each_device(draw, mesh)(everyones, each_ones)


def _by_level(strategies: Any, num_levels: int) -> tuple[tuple[Strategy, ...], ...]:
    """Return each level's strategies, given for each level or once for all."""
    strategies = as_strategies(strategies)
    if not any(isinstance(entry, Sequence) for entry in strategies):
        return (strategies,) * num_levels
    if len(strategies) != num_levels:
        raise InputError(
            f"expected strategies for each of the {num_levels} levels, got {len(strategies)}"
        )
    return tuple(as_strategies(entry) for entry in strategies)

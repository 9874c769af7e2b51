"""Functions that sample from a pixel model or a prior, and score with it.

Legend: b batch, h height, w width, c channels, g codebooks.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from jaxtyping import Array, Float, Int

from pixelprior import jitted
from pixelprior.context import Context
from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.models.guided import check_guidance, guided
from pixelprior.prior import Prior
from pixelprior.runs.run import Run
from pixelprior.runs.samples import check_learned
from pixelprior.sampling.methods import check_method
from pixelprior.sampling.rows import sample_rows as sample_grid_rows
from pixelprior.sampling.sample import sample as sample_grids
from pixelprior.sampling.sampler import Sampler
from pixelprior.sampling.strategies import Strategy
from pixelprior.system.compilation_cache import keep_compiled_programs
from pixelprior.verbs.arguments import (
    check_request,
    context_of,
    distribution_of,
    tokenizer_of,
)

Codes = list[Int[Array, "b _ _ g"]]


def sample(
    model: Any,
    key: Array,
    num: int,
    *,
    label: Any = None,
    vector: Any = None,
    context: Context | None = None,
    order: Any = None,
    strategy: Strategy | Sequence[Any] = (),
    known: Any = None,
    guidance: float | None = None,
    guidance_schedule: str = "constant",
    method: str | Sampler = "auto",
    first_image: int | Int[Array, ""] = 0,
    tokenizer: Any = None,
) -> Any:
    """Draw images from a pixel model, or codes from a prior.

    Image n depends only on ``(key, n)``, its own condition and its own known symbols. One call with
    64 images gives the same images as four calls with 16 and ``first_image`` 0, 16, 32 and 48. This
    holds for every ``method`` and number of devices. The function compiles once for each shape, and
    can be called inside other jitted code.

    Known symbols do not change. They condition only symbols that are later in the order of the
    model. An any-order model draws the known pixels first, so they condition all others.

    Examples:
        >>> images = pp.sample(model, jax.random.key(0), 16, label=3, strategy=pp.Temperature(0.9))
        >>> codes = pp.sample(prior, jax.random.key(0), 16)

    Args:
        model: a pixel model, a prior, or a run of one.
        key: a JAX key, ``jax.random.key(seed)``.
        num: the number of images.
        label: one class for all images, by index (or name, for a run), or an array with one class
            for each image. None draws without a class, if the model has a null class.
        vector: for models with ``vector_features``, one vector ``[k]`` for all images, or one for
            each image ``[num, k]``.
        context: a `Context` instead of a label and a vector; pixel models also take a map in it.
        order: for any-order models, the number of pixels before each pixel: one order ``[h, w]``
            for all images, or one for each. None is the raster order. The known pixels come first.
        strategy: a change of the distribution of every symbol, such as `Temperature`, or several
            that are applied in turn. A prior also accepts one such sequence for each level, the top
            first.
        known: the known symbols, with `UNKNOWN` elsewhere; for a prior a list of maps.
        guidance: the scale of classifier-free guidance; 1 is the model itself, None is no guidance.
        guidance_schedule: "constant", or "linear" or "cosine" for a scale that grows from 1 at the
            first pixel to ``guidance`` at the last.
        method: "auto" chooses a fast sampler. "cached" draws pixel by pixel, "fixed_point" guesses
            rows and corrects them, and "whole_grids" guesses whole grids. "naive" runs the network
            over the whole grid for every pixel. A `Sampler` is possible too. All give the same
            images.
        first_image: the number of the first image.
        tokenizer: a tokenizer or its run, to turn the codes of a prior into images.

    Returns:
        int32 symbols ``[num, h, w, c]``. For a prior: a list of int32 maps of codes, the coarsest
        first. For a prior with a tokenizer: pixels in [0, 1].

    Raises:
        InputError: if an argument does not fit the model.
    """
    keep_compiled_programs()
    distribution = distribution_of(model)
    check_request(distribution, key, num, strategy, first_image, guidance, guidance_schedule)
    check_method(method)
    settings: dict[str, Any] = dict(
        strategy=strategy, known=known, method=method, first_image=first_image
    )
    given = context_of(model, distribution, label, vector, context, order, num)
    if isinstance(distribution, Prior):
        _check_learned(model)
        decoder = None if tokenizer is None else tokenizer_of(tokenizer)
        return distribution.sample(
            key,
            num,
            context=given,
            guidance=guidance,
            guidance_schedule=guidance_schedule,
            tokenizer=decoder,
            **settings,
        )
    if tokenizer is not None:
        raise InputError("tokenizer is for the codes of a prior; this is a pixel model")
    return sample_grids(
        guided(distribution, guidance, guidance_schedule), key, num, context=given, **settings
    )


def sample_rows(
    model: Any,
    key: Array,
    num: int,
    *,
    label: Any = None,
    vector: Any = None,
    context: Context | None = None,
    order: Any = None,
    strategy: Strategy | Sequence[Any] = (),
    known: Any = None,
    guidance: float | None = None,
    guidance_schedule: str = "constant",
    first_image: int | Int[Array, ""] = 0,
) -> Iterator[Any]:
    """Draw the same as `sample`, row by row; yield all grids after every row.

    Symbols that are not drawn yet are `UNKNOWN`. To stop the sampling, leave the loop.

    Examples:
        >>> for images in pp.sample_rows(model, jax.random.key(0), 16):
        ...     display(pp.show(images, model))

    Args:
        model: see `sample`, also for the other arguments.
        key: a JAX key.
        num: the number of images.
        label: the classes.
        vector: the vectors.
        context: a `Context` instead of a label and a vector.
        order: the order of an any-order model.
        strategy: a change of the distribution of every symbol.
        known: the known symbols.
        guidance: the scale of classifier-free guidance.
        guidance_schedule: the course of the scale over the image.
        first_image: the number of the first image.

    Raises:
        InputError: if an argument does not fit the model. It is raised before the first row.
    """
    keep_compiled_programs()
    distribution = distribution_of(model)
    check_request(distribution, key, num, strategy, first_image, guidance, guidance_schedule)
    settings: dict[str, Any] = dict(strategy=strategy, known=known, first_image=first_image)
    given = context_of(model, distribution, label, vector, context, order, num)
    if isinstance(distribution, Prior):
        _check_learned(model)
        return distribution.sample_rows(
            key,
            num,
            context=given,
            guidance=guidance,
            guidance_schedule=guidance_schedule,
            **settings,
        )
    return sample_grid_rows(
        guided(distribution, guidance, guidance_schedule), key, num, context=given, **settings
    )


def log_prob(
    model: Any,
    x: Any,
    *,
    label: Any = None,
    vector: Any = None,
    context: Context | None = None,
    order: Any = None,
    guidance: float | None = None,
    guidance_schedule: str = "constant",
) -> Float[Array, " b"]:
    """Compute the log-probability of images or codes, in nats.

    The first call for each shape compiles.

    Examples:
        >>> nats = -pp.log_prob(model, images, label=3)

    Args:
        model: a pixel model, a prior, or a run of one.
        x: symbols ``[b, h, w, c]``; for a prior a list of maps of codes, the coarsest first.
        label: see `sample`.
        vector: see `sample`.
        context: see `sample`.
        order: see `sample`. Different orders are different distributions.
        guidance: see `sample`; only for pixel models.
        guidance_schedule: see `sample`.

    Returns:
        float32 ``[b]``, in nats.

    Raises:
        InputError: if an argument does not fit the model.
    """
    keep_compiled_programs()
    distribution = distribution_of(model)
    check_guidance(guidance, guidance_schedule)
    if isinstance(distribution, Prior):
        if guidance is not None:
            raise InputError("log_prob takes guidance for pixel models alone; leave it out")
        Grid.check_maps(x, distribution.grids)
        given = context_of(model, distribution, label, vector, context, order, len(x[0]))
        return jitted.log_prob(distribution, x, given)
    distribution.grid.check(x)
    given = context_of(model, distribution, label, vector, context, order, len(x))
    return jitted.log_prob(guided(distribution, guidance, guidance_schedule), x, given)


def _check_learned(subject: Any) -> None:
    """Raise an InputError for the run of a prior with a level that is not trained.

    A prior without its run has no information about its trained levels.
    """
    if isinstance(subject, Run):
        check_learned(subject)

"""Samples of a run, of pixels or codes: functions to draw them and to show them as images.

Legend: n images, h height, w width, c channels, k attributes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from pixelprior.context import ContextShape
from pixelprior.data import to_pixels
from pixelprior.errors import InputError
from pixelprior.models.base import GridModel
from pixelprior.models.guided import check_guidance, guided
from pixelprior.runs.conditions import Conditions, Numbers
from pixelprior.runs.parts import (
    codes_filling_up,
    codes_so_far,
    pixels_filling_up,
    pixels_so_far,
)
from pixelprior.runs.run import Run
from pixelprior.sampling.methods import check_method, name_of, sampler_of
from pixelprior.sampling.rows import num_rows, sample_rows
from pixelprior.sampling.sample import sample
from pixelprior.sampling.strategies import Strategy
from pixelprior.system.devices import mesh_for
from pixelprior.tokenizers.code_maps import level_names

Pixels = Float[np.ndarray, "n h w c"]

MOST_COLUMNS = 16
"""Largest number of classes that are laid out as columns."""


class Request(NamedTuple):
    """Settings of samples.

    Attributes:
        seed: the seed of the images; image n of a seed is always the same.
        strategies: the strategies of each level of codes, or one tuple for all levels.
        label: the index of a class, or None.
        guidance: the scale of guidance, see `pixelprior.models.guided`; or None.
        method: the name of a sampler.
        guidance_schedule: the course of the scale over the image, see `guided`.
        attributes: attributes of all images, by name, see `Conditions`; or None.
    """

    seed: int
    strategies: Sequence[Sequence[Strategy]]
    label: int | None
    guidance: float | None
    method: str
    guidance_schedule: str = "constant"
    attributes: Mapping[str, float] | None = None


class Known(NamedTuple):
    """Known parts of samples, by the numbers of the samples.

    Attributes:
        given: the known symbols of a pixel model, or the known codes of each level of a prior.
        labels: the classes of the real images.
        attributes: the attributes of the real images; None if they are not known.
    """

    given: Callable[[Numbers], Any]
    labels: Callable[[Numbers], Int[np.ndarray, " n"]]
    attributes: Callable[[Numbers], Float[np.ndarray, "n k"]] | None = None


class Samples(NamedTuple):
    """Functions that draw samples of a run. They compile once for each number of images.

    Attributes:
        draw: from consecutive numbers of images to symbols, or to codes of a prior.
        pixels: from symbols or codes to images in [0, 1].
        filling_up: from symbols or codes and a number of frames to images that fill up.
        rows: from consecutive numbers of images to the images after each drawn row. The last images
            equal ``pixels`` of ``draw``.
        num_rows: the number of rows.
        num_classes: the number of classes that the images take in turn, unless one is requested; 0
            for a run without classes, or with attributes.
    """

    draw: Callable[[Numbers], Any]
    pixels: Callable[[Any], Pixels]
    filling_up: Callable[[Any, int], list[Pixels]]
    rows: Callable[[Numbers], Iterator[Pixels]]
    num_rows: int
    num_classes: int


def samples_of(run: Run, request: Request, known: Known | None = None) -> Samples:
    """Prepare to draw samples of a run, with an optional known part.

    Raises:
        InputError: if the run cannot be sampled from, or the request does not fit it.
    """
    if run.task == "tokenizer":
        raise InputError(
            "this run is a tokenizer, which has nothing to sample from; train a prior on its "
            "codes, or use --mode=reconstruct, random_codes or interpolate"
        )
    make = _of_pixels if run.task == "pixels" else _of_codes
    check_guidance(request.guidance, request.guidance_schedule)
    samples = make(run, request, known)
    # Sampling may take hours, so the sampler is checked first.
    check_method(request.method)
    return samples


def methods_of(run: Run, method: str, num: int) -> str:
    """Name the samplers that draw ``num`` images at once, in the order of their use.

    Args:
        run: a run of a pixel model or of a prior.
        method: the name of a sampler, or "auto".
        num: number of images.
    """
    mesh = mesh_for(num)
    on_each = num if mesh is None else num // mesh.size
    stages = [stage.model for model in _models(run) for stage in model.stages()]
    names = [name_of(sampler_of(method, model, on_each)) for model in stages]
    return " and ".join(dict.fromkeys(names))


def sees_all_known(run: Run) -> bool:
    """True if each drawn symbol is conditioned on all known symbols, not only on earlier ones."""
    return all(model.context_shape.any_order for model in _models(run))


def _models(run: Run) -> Sequence[GridModel]:
    return [run.model] if run.task == "pixels" else list(run.model.levels)


def class_columns(samples: Samples, request: Request) -> int | None:
    """Number of columns that puts each class into its own column; None if this is not possible.

    It is possible if the samples use all classes in turn, and there are at most `MOST_COLUMNS`.
    """
    in_turn = request.label is None and 1 < samples.num_classes <= MOST_COLUMNS
    return samples.num_classes if in_turn else None


def has_learned_all(run: Run) -> bool:
    """True if a run has trained all its levels of codes. Sampling from a prior needs this."""
    return not run.unlearned_levels


def check_learned(run: Run) -> None:
    """Raise an InputError if a prior has a level that is not trained."""
    if run.unlearned_levels:
        raise InputError(
            f"this run has not learned the {' and '.join(run.unlearned_levels)} level; train that "
            "in a run of its own with config.trained_levels and --prior, and sample from that one"
        )


def _of_pixels(run: Run, request: Request, known: Known | None) -> Samples:
    model = guided(run.model, request.guidance, request.guidance_schedule)
    if len(request.strategies) != 1:
        raise InputError(
            f"a pixel model takes one temperature, got {len(request.strategies)}; several are "
            "for the levels of priors"
        )
    levels = model.grid.levels
    conditions = _conditions(run, request, known)

    def wanted(numbers: Numbers) -> dict[str, Any]:
        return dict(
            model=model,
            key=jax.random.key(request.seed),
            num=len(numbers),
            context=conditions(numbers),
            strategy=request.strategies[0],
            known=known and known.given(numbers),
            first_image=int(numbers[0]),
        )

    def rows(numbers: Numbers) -> Iterator[Pixels]:
        for symbols in sample_rows(**wanted(numbers)):
            yield pixels_so_far(np.asarray(symbols), levels)

    return Samples(
        lambda numbers: np.asarray(sample(**wanted(numbers), method=request.method)),
        lambda symbols: to_pixels(symbols, levels),
        lambda symbols, num_frames: pixels_filling_up(model, symbols, num_frames),
        rows,
        num_rows(model),
        _classes_in_turn(model.context_shape),
    )


def _of_codes(run: Run, request: Request, known: Known | None) -> Samples:
    prior, tokenizer = run.model, run.tokenizer
    assert tokenizer is not None  # every prior has one in its folder
    names = level_names(len(prior.grids))
    check_learned(run)
    if len(request.strategies) not in (1, len(names)):
        raise InputError(
            f"expected one temperature, or one for each level ({', '.join(names)}), "
            f"got {len(request.strategies)}"
        )
    by_level = list(request.strategies) * (len(names) if len(request.strategies) == 1 else 1)
    prior.check_guidance(request.guidance)
    conditions = _conditions(run, request, known)

    def wanted(numbers: Numbers) -> dict[str, Any]:
        return dict(
            key=jax.random.key(request.seed),
            num=len(numbers),
            context=conditions(numbers),
            strategy=by_level,
            known=known and known.given(numbers),
            guidance=request.guidance,
            guidance_schedule=request.guidance_schedule,
            first_image=int(numbers[0]),
        )

    def rows(numbers: Numbers) -> Iterator[Pixels]:
        for codes in prior.sample_rows(**wanted(numbers)):
            yield codes_so_far(tokenizer, codes)

    return Samples(
        lambda numbers: prior.sample(**wanted(numbers), method=request.method),
        lambda codes: np.asarray(tokenizer.decode(codes)),
        lambda codes, num_frames: codes_filling_up(prior, tokenizer, codes, num_frames),
        rows,
        sum(map(num_rows, prior.levels)),
        _classes_in_turn(prior.context_shape),
    )


def _conditions(run: Run, request: Request, known: Known | None) -> Conditions:
    return Conditions(
        run,
        request.label,
        request.attributes or {},
        labels=known and known.labels,
        vectors=known and known.attributes,
    )


def _classes_in_turn(shape: ContextShape) -> int:
    """Number of classes that samples take in turn. With attributes they are those of images."""
    return 0 if shape.vector_features else shape.num_classes

"""Samples of a run, whatever was trained in it: what is drawn, and what it looks like.

Legend: n images, h height, w width, c channels.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.data import to_pixels
from pixelprior.errors import InputError
from pixelprior.models.base import GridModel
from pixelprior.models.guided import Guided
from pixelprior.runs.filling_up import (
    codes_filling_up,
    codes_so_far,
    pixels_filling_up,
    pixels_so_far,
)
from pixelprior.runs.run import Run
from pixelprior.sampling.labels import labels_in_turn
from pixelprior.sampling.methods import check_method
from pixelprior.sampling.rows import num_rows, sample_rows
from pixelprior.sampling.sample import sample
from pixelprior.sampling.strategies import Strategy
from pixelprior.tokenizers.vqvae import level_names

Numbers = Int[np.ndarray, " n"]
Pixels = Float[np.ndarray, "n h w c"]


class Request(NamedTuple):
    """How samples are asked for.

    Attributes:
        seed: image n of a seed is always the same.
        strategies: how symbols are chosen, for every level of codes or one for all.
        label: the index of a class, or None.
        guidance: see `pixelprior.models.guided`, or None.
        method: the name of a sampler.
    """

    seed: int
    strategies: Sequence[Sequence[Strategy]]
    label: int | None
    guidance: float | None
    method: str


class Known(NamedTuple):
    """What is known of the samples, by their numbers.

    Attributes:
        given: known symbols of a model of pixels, or known codes of a prior, for each level.
        labels: the classes of the images that they are of.
    """

    given: Callable[[Numbers], Any]
    labels: Callable[[Numbers], Int[np.ndarray, " n"]]


class Samples(NamedTuple):
    """A way to draw from a run, ready to be called; compiles once per number of images.

    Attributes:
        draw: from the images' numbers, which follow each other, to symbols, or codes of a prior.
        pixels: what they look like, in [0, 1].
        filling_up: from them and a number of frames, how they come to be.
        rows: from the images' numbers, what they look like after every row that is drawn: in the
            end as ``pixels`` of ``draw`` does.
        num_rows: how many there are.
        num_classes: 0 if the run is not conditioned on any.
    """

    draw: Callable[[Numbers], Any]
    pixels: Callable[[Any], Pixels]
    filling_up: Callable[[Any, int], list[Pixels]]
    rows: Callable[[Numbers], Iterator[Pixels]]
    num_rows: int
    num_classes: int


def samples_of(trained: Run, request: Request, known: Known | None = None) -> Samples:
    """Samples of a run, around what is known of them.

    Raises:
        InputError: if the run has nothing to sample from, or the request does not fit it.
    """
    if trained.task == "tokenizer":
        raise InputError(
            "this run is a tokenizer, which has nothing to sample from; train a prior on its "
            "codes, or use --mode=reconstruct, random_codes or interpolate"
        )
    make = _of_pixels if trained.task == "pixels" else _of_codes
    samples = make(trained, request, known)
    # Before any sampling, which may take hours: do the sampler and the label exist?
    check_method(request.method)
    labels_in_turn(samples.num_classes, request.label, 1)
    return samples


def has_learned_all(trained: Run) -> bool:
    """Whether there is something to be drawn: a prior must have learned all its levels."""
    return trained.task != "prior" or not _unlearned(trained)


def check_learned(trained: Run) -> None:
    """Raises an InputError unless a prior can be sampled from: all its levels have been learned."""
    unlearned = _unlearned(trained)
    if unlearned:
        raise InputError(
            f"this run has not learned the {' and '.join(unlearned)} level; train that in a run "
            "of its own with config.trained_levels and --prior, and sample from that one"
        )


def _unlearned(trained: Run) -> list[str]:
    """The levels of a prior that it has not learned."""
    names = level_names(len(trained.model.grids))
    return [name for name in names if name not in trained.data["learned_levels"]]


def _of_pixels(trained: Run, request: Request, known: Known | None) -> Samples:
    model: GridModel = trained.model
    if request.guidance is not None:
        model = Guided(model, request.guidance)
    if len(request.strategies) != 1:
        raise InputError(
            f"a model of pixels takes one temperature, got {len(request.strategies)}; several are "
            "for the levels of priors"
        )
    num_classes, levels = model.context_shape.num_classes, model.grid.levels

    def wanted(numbers: Numbers) -> dict[str, Any]:
        labels = _labels(num_classes, request, known, numbers)
        return dict(
            model=model,
            key=jax.random.key(request.seed),
            num=len(numbers),
            context=None if labels is None else Context(label=labels),
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
        num_classes,
    )


def _of_codes(trained: Run, request: Request, known: Known | None) -> Samples:
    prior, tokenizer = trained.model, trained.tokenizer
    assert tokenizer is not None  # every prior's folder carries one
    names = level_names(len(prior.grids))
    check_learned(trained)
    if len(request.strategies) not in (1, len(names)):
        raise InputError(
            f"expected one temperature, or one for each level ({', '.join(names)}), "
            f"got {len(request.strategies)}"
        )
    by_level = list(request.strategies) * (len(names) if len(request.strategies) == 1 else 1)
    prior.check_guidance(request.guidance)

    def wanted(numbers: Numbers) -> dict[str, Any]:
        return dict(
            key=jax.random.key(request.seed),
            num=len(numbers),
            label=_labels(prior.num_classes, request, known, numbers),
            strategy=by_level,
            known=known and known.given(numbers),
            guidance=request.guidance,
            first_image=int(numbers[0]),
        )

    def rows(numbers: Numbers) -> Iterator[Pixels]:
        for codes in prior.sample_rows(**wanted(numbers)):
            yield codes_so_far(tokenizer, codes)

    return Samples(
        lambda numbers: prior.sample(**wanted(numbers), method=request.method),
        lambda codes: np.asarray(tokenizer.decode_codes(codes)),
        lambda codes, num_frames: codes_filling_up(prior, tokenizer, codes, num_frames),
        rows,
        sum(map(num_rows, prior.levels)),
        prior.num_classes,
    )


def _labels(
    num_classes: int, request: Request, known: Known | None, numbers: Numbers
) -> Int[Array, " n"] | None:
    """The class asked for; or the known images' own; or all in turn."""
    if known is None or request.label is not None or not num_classes:
        first = int(numbers[0])
        return labels_in_turn(num_classes, request.label, len(numbers), first_image=first)
    return jnp.asarray(known.labels(numbers))

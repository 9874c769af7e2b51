"""Kinds of pictures of a run, with one function for each: samples, completions and others.

Legend: n images, h height, w width, c channels.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pixelprior import jitted
from pixelprior.errors import InputError
from pixelprior.figures.plots import as_colours
from pixelprior.figures.sheets import above
from pixelprior.grid import Grid
from pixelprior.progress import Report, only_warnings
from pixelprior.runs.conditions import Conditions
from pixelprior.runs.images import OwnImages, RunImages, TestImages
from pixelprior.runs.parts import grey_where_unknown, known_codes, known_mask, known_symbols
from pixelprior.runs.run import Run
from pixelprior.runs.samples import Known, Numbers, Pixels, Request, class_columns, samples_of
from pixelprior.sampling.labels import labels_in_turn
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.code_maps import random_codes

WALK = 8
"""Number of images in a walk from one image to another, with both included."""


class Subject(NamedTuple):
    """Choice of real images for a picture.

    Attributes:
        images: image files to use instead of test images, see `OwnImages`; or None.
        known: the known part of the images, see `known_mask`; only for completions.
    """

    images: str | None = None
    known: str | None = None


class Pictures(NamedTuple):
    """A function that draws pictures, and their layout.

    Attributes:
        draw: a function from consecutive numbers of pictures to pixels in [0, 1]. It compiles once
            for each number of pictures.
        columns: the number of pictures that belong in one row; None for any.
        images: the real image of each picture; None if there is none, or more than one.
        drawn: True if parts are drawn at random, so that one image has many pictures.
    """

    draw: Callable[[Numbers], Pixels]
    columns: int | None = None
    images: RunImages | None = None
    drawn: bool = True


def pictures(
    mode: str,
    run: Run,
    request: Request,
    subject: Subject,
    report: Report = only_warnings,
) -> Pictures:
    """Prepare pictures of one of the `KINDS`. Remarks about the images go to ``report``.

    Raises:
        InputError: if the kind does not fit the run, or the request does not fit the kind.
    """
    if mode == "complete" and subject.known is None:
        raise InputError(
            "--mode=complete needs the known part; give --known=top, --known=left or a picture"
        )
    return KINDS[mode](run, request, subject, report)


def _samples(run: Run, request: Request, subject: Subject, report: Report) -> Pictures:
    samples = samples_of(run, request)
    return Pictures(
        lambda numbers: samples.pixels(samples.draw(numbers)), class_columns(samples, request)
    )


def _completions(run: Run, request: Request, subject: Subject, report: Report) -> Pictures:
    """Known part of real images, with the rest grey, above the completed images."""
    height, width, _ = run.data["shape"]
    assert subject.known is not None  # checked in `pictures`
    mask = known_mask(subject.known, height, width)
    images = _images(run, request, subject, report, labelled=True)

    def given(numbers: Numbers) -> Any:
        if run.tokenizer is None:
            return known_symbols(images.symbols(numbers), mask)
        return known_codes(run.tokenizer, images.pixels(numbers), mask)

    samples = samples_of(run, request, Known(given, images.labels, images.attributes))

    def draw(numbers: Numbers) -> Pixels:
        completed = samples.pixels(samples.draw(numbers))
        return above(grey_where_unknown(images.pixels(numbers), mask), completed)

    return Pictures(draw, images=images)


def _likelihoods(run: Run, request: Request, subject: Subject, report: Report) -> Pictures:
    """Real images above the bits of their pixels."""
    if run.task != "pixels":
        raise InputError(
            "--mode=likelihood shades pixels by their bits, and is for pixel models; this run "
            f"is a {run.task}"
        )
    model = run.model
    labels_in_turn(run.num_classes, request.label, 1)  # raises if there is no such class
    images = _images(run, request, subject, report, labelled=True)
    conditions = Conditions(
        run,
        request.label,
        request.attributes or {},
        labels=images.labels,
        vectors=images.attributes,
    )

    def draw(numbers: Numbers) -> Pixels:
        context = conditions(numbers)
        bits = np.asarray(jitted.pixel_bits(model, images.symbols(numbers), context))
        originals = np.broadcast_to(images.pixels(numbers), (*bits.shape, 3))
        return above(originals, shaded(bits, model.grid))

    return Pictures(draw, images=images, drawn=False)


def _reconstructions(run: Run, request: Request, subject: Subject, report: Report) -> Pictures:
    """Originals above their reconstructions."""
    tokenizer = _vqvae(run, "reconstruct")
    images = _images(run, request, subject, report)

    def draw(numbers: Numbers) -> Pixels:
        originals = images.pixels(numbers)
        return above(originals, reconstructed(tokenizer, originals))

    return Pictures(draw, images=images, drawn=False)


def _random_codes(run: Run, request: Request, subject: Subject, report: Report) -> Pictures:
    """Uniformly random codes, decoded."""
    tokenizer = _vqvae(run, "random_codes")

    def draw(numbers: Numbers) -> Pixels:
        key = jax.random.key(request.seed)
        codes = random_codes(key, jnp.asarray(numbers), tokenizer.code_grids)
        return np.asarray(jitted.decode(tokenizer, codes))

    return Pictures(draw)


def _walks(run: Run, request: Request, subject: Subject, report: Report) -> Pictures:
    """Walks between two images, evenly spaced between the vectors of their codes."""
    tokenizer = _vqvae(run, "interpolate")
    images = _images(run, request, subject, report)
    if len(images) < 2:
        raise InputError(f"a walk leads from one image to another, but {subject.images} is one")

    def draw(numbers: Numbers) -> Pixels:
        walk, place = np.divmod(numbers, WALK)
        start, end = images.pixels(2 * walk), images.pixels(2 * walk + 1)
        return between(tokenizer, start, end, place / (WALK - 1))

    return Pictures(draw, columns=WALK)


KINDS: dict[str, Callable[[Run, Request, Subject, Report], Pictures]] = {
    "sample": _samples,
    "complete": _completions,
    "likelihood": _likelihoods,
    "reconstruct": _reconstructions,
    "random_codes": _random_codes,
    "interpolate": _walks,
}
"""Kinds of pictures, by the name of the mode."""


def _images(
    run: Run, request: Request, subject: Subject, report: Report, *, labelled: bool = False
) -> RunImages:
    if subject.images is None:
        return TestImages(run, request.seed, report)
    return OwnImages(run, subject.images, label=request.label, labelled=labelled, report=report)


def _vqvae(run: Run, mode: str) -> VQVAE:
    if run.vqvae is None:
        raise InputError(
            f"--mode={mode} is for tokenizers and priors, but this run is a pixel model, which "
            "has no codes; leave --mode out to sample from it"
        )
    return run.vqvae


def reconstructed(tokenizer: VQVAE, pixels: Pixels) -> Pixels:
    """Reconstruct images from their codes."""
    return np.asarray(jitted.reconstruct(tokenizer, pixels))


def between(tokenizer: VQVAE, start: Pixels, end: Pixels, share: Float[np.ndarray, " n"]) -> Pixels:
    """Interpolate the vectors of the codes of two images; share 0 is the start, 1 the end."""
    return np.asarray(jitted.call(_between, tokenizer, start, end, share.astype(np.float32)))


def _between(tokenizer: VQVAE, start: Any, end: Any, share: Float[Array, " n"]) -> Array:
    share = share[:, None, None, None]
    return tokenizer.decode_vectors(
        [
            (1 - share) * here.vectors + share * there.vectors
            for here, there in zip(tokenizer.quantize(start), tokenizer.quantize(end), strict=True)
        ]
    )


def uniform_bits(grid: Grid) -> float:
    """Bits of a pixel under the uniform distribution."""
    return grid.channels * math.log2(grid.levels)


def shaded(bits: Float[np.ndarray, "n h w"], grid: Grid) -> Float[np.ndarray, "n h w 3"]:
    """Convert bits to colours in [0, 1]: dark for 0, brightest from `uniform_bits` on."""
    return as_colours(np.clip(bits / uniform_bits(grid), 0.0, 1.0))

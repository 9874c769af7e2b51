"""The kinds of pictures that ``sample.py`` makes of a run, image by image.

Legend: n images, h height, w width, c channels.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from pixelprior.context import Context
from pixelprior.errors import InputError
from pixelprior.figures.sheets import above
from pixelprior.runs.completion import (
    grey_where_unknown,
    known_codes,
    known_mask,
    known_symbols,
)
from pixelprior.runs.images import RunImages
from pixelprior.runs.likelihood_pictures import pixel_bits, shaded
from pixelprior.runs.run import Run
from pixelprior.runs.samples import Known, Numbers, Pixels, Request, samples_of
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.vqvae import random_codes

WALK = 8
"""How many images a walk between two images has, both of them included."""

MOST_COLUMNS = 16
"""More classes than these are not laid out as columns."""


class Subject(NamedTuple):
    """Which real images a picture is about.

    Attributes:
        data_dir: where the run's data set is, if it has moved.
        images: image files to take instead of test images, see `RunImages`; or None.
        known: which part of them is known, see `known_mask`. For completions alone.
    """

    data_dir: str | None = None
    images: str | None = None
    known: str | None = None


class Pictures(NamedTuple):
    """A way to make pictures, ready to be called.

    Attributes:
        draw: from their numbers, which follow each other, to pixels in [0, 1]; compiles once for
            each number of them.
        columns: how many make a row that belongs together; None for any.
    """

    draw: Callable[[Numbers], Pixels]
    columns: int | None = None


def pictures(mode: str, trained: Run, request: Request, subject: Subject) -> Pictures:
    """What a mode makes of a run.

    Raises:
        InputError: if it is not for such a run, or what is asked for does not fit it.
    """
    if (mode == "complete") != (subject.known is not None):
        raise InputError("--known is for --mode=complete, and says which part of an image is known")
    if mode == "sample":
        return _samples(trained, request)
    if mode == "complete":
        return _completions(trained, request, subject)
    if request.label is not None or request.guidance is not None or any(request.strategies):
        raise InputError(
            f"label, guidance and what chooses symbols (temperature, top_k, ...) are for samples, "
            f"not for --mode={mode}"
        )
    if mode == "likelihood":
        return _likelihoods(trained, request, subject)
    if trained.task == "pixels":
        raise InputError(
            f"--mode={mode} is for tokenizers and priors, but this run is a model of pixels, which "
            "has no codes; leave --mode out to sample from it"
        )
    tokenizer = trained.tokenizer or trained.model
    if mode == "random_codes":
        return _random_codes(tokenizer, request.seed)
    images = RunImages(trained, request.seed, subject.data_dir, subject.images)
    return (
        _reconstructions(tokenizer, images) if mode == "reconstruct" else _walks(tokenizer, images)
    )


def _samples(trained: Run, request: Request) -> Pictures:
    samples = samples_of(trained, request)
    # Classes in turn make one column of each class, if they are few enough for one row.
    in_turn = request.label is None and 1 < samples.num_classes <= MOST_COLUMNS
    return Pictures(
        lambda numbers: samples.pixels(samples.draw(numbers)),
        samples.num_classes if in_turn else None,
    )


def _completions(trained: Run, request: Request, subject: Subject) -> Pictures:
    """What is known of real images, the rest of it grey, above the images completed."""
    height, width, _ = trained.data["shape"]
    assert subject.known is not None
    mask = known_mask(subject.known, height, width)
    images = RunImages(trained, request.seed, subject.data_dir, subject.images)

    def given(numbers: Numbers) -> Any:
        if trained.tokenizer is None:
            return known_symbols(images.symbols(numbers), mask)
        return known_codes(trained.tokenizer, images.pixels(numbers), mask)

    samples = samples_of(trained, request, Known(given, images.labels))

    def draw(numbers: Numbers) -> Pixels:
        completed = samples.pixels(samples.draw(numbers))
        return above(grey_where_unknown(images.pixels(numbers), mask), completed)

    return Pictures(draw)


def _likelihoods(trained: Run, request: Request, subject: Subject) -> Pictures:
    """Real images above the bits that each of their pixels cost."""
    if trained.task != "pixels":
        raise InputError(
            "--mode=likelihood shades pixels by their bits, and is for models of pixels; this run "
            f"is a {trained.task}"
        )
    model = trained.model
    images = RunImages(trained, request.seed, subject.data_dir, subject.images)
    # As bright as it gets: what a pixel costs if nothing is known of it.
    most = model.grid.channels * math.log2(model.grid.levels)

    def draw(numbers: Numbers) -> Pixels:
        classes = model.context_shape.num_classes
        context = Context(label=jnp.asarray(images.labels(numbers))) if classes else None
        bits = pixel_bits(model, images.symbols(numbers), context)
        originals = np.broadcast_to(images.pixels(numbers), (*bits.shape, 3))
        return above(originals, shaded(bits, most))

    return Pictures(draw)


def _random_codes(tokenizer: VQVAE, seed: int) -> Pictures:
    """Uniformly random codes, decoded."""

    def draw(numbers: Numbers) -> Pixels:
        codes = random_codes(jax.random.key(seed), jnp.asarray(numbers), tokenizer.code_grids)
        return np.asarray(tokenizer.decode_codes(codes))

    return Pictures(draw)


def _reconstructions(tokenizer: VQVAE, images: RunImages) -> Pictures:
    """Originals above their reconstructions."""

    def draw(numbers: Numbers) -> Pixels:
        originals = images.pixels(numbers)
        return above(originals, reconstructed(tokenizer, originals))

    return Pictures(draw)


def _walks(tokenizer: VQVAE, images: RunImages) -> Pictures:
    """Rows of images between two, evenly spaced between the vectors of their codes."""

    def draw(numbers: Numbers) -> Pixels:
        walk, place = np.divmod(numbers, WALK)
        start, end = images.pixels(2 * walk), images.pixels(2 * walk + 1)
        return between(tokenizer, start, end, place / (WALK - 1))

    return Pictures(draw, columns=WALK)


def reconstructed(tokenizer: VQVAE, pixels: Pixels) -> Pixels:
    """What the codes of images keep of them."""
    return np.asarray(_reconstruct(*nnx.split(tokenizer), pixels))


def between(tokenizer: VQVAE, start: Pixels, end: Pixels, share: Float[np.ndarray, " n"]) -> Pixels:
    """Images between two, by the vectors of their codes; share 0 is the start, 1 the end."""
    return np.asarray(_between(*nnx.split(tokenizer), start, end, share.astype(np.float32)))


@functools.partial(jax.jit, static_argnames="graph")
def _reconstruct(graph: nnx.GraphDef, weights: Any, pixels: Any) -> Array:
    return nnx.merge(graph, weights).reconstruct(pixels)


@functools.partial(jax.jit, static_argnames="graph")
def _between(
    graph: nnx.GraphDef, weights: Any, start: Any, end: Any, share: Float[Array, " b"]
) -> Array:
    tokenizer = nnx.merge(graph, weights)
    share = share[:, None, None, None]
    return tokenizer.decode(
        [
            (1 - share) * here.vectors + share * there.vectors
            for here, there in zip(tokenizer.encode(start), tokenizer.encode(end), strict=True)
        ]
    )

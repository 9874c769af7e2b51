"""The kinds of pictures that ``sample.py`` makes of a run, each as batches of symbols.

Legend: b batch, h height, w width, c channels.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.data import to_pixels
from pixelprior.errors import InputError
from pixelprior.experiment import open_data
from pixelprior.loading import Trained
from pixelprior.pictures import above, as_shades
from pixelprior.sampling.labels import label_context, labels_in_turn
from pixelprior.sampling.sample import sample
from pixelprior.sampling.strategies import Strategy
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.vqvae import level_names, random_codes

WALK = 8
"""How many images a walk between two images has, both of them included."""

MOST_COLUMNS = 16
"""More classes than these are not laid out as columns."""


class Request(NamedTuple):
    """What is asked for.

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


class Pictures(NamedTuple):
    """A way to make pictures, ready to be called.

    Attributes:
        levels: how many values a symbol of them can take.
        draw: from the number of the first and how many to symbols; compiles once per number.
        columns: how many make a row that belongs together; None for any.
    """

    levels: int
    draw: Callable[[int, int], Int[np.ndarray, "b h w c"]]
    columns: int | None = None


def pictures(mode: str, trained: Trained, request: Request, data_dir: str | None) -> Pictures:
    """What a mode makes of a run.

    Raises:
        InputError: if it is not for such a run, or what is asked for does not fit it.
    """
    if mode == "sample":
        return {"pixels": _pixel_samples, "prior": _prior_samples}.get(trained.task, _no_samples)(
            trained, request
        )
    if trained.task == "pixels":
        raise InputError(
            f"--mode={mode} is for tokenizers and priors, but this run is a model of pixels, which "
            "has no codes; leave --mode out to sample from it"
        )
    tokenizer = trained.tokenizer or trained.model
    if request.label is not None or request.guidance is not None or any(request.strategies):
        raise InputError(
            f"label, guidance, temperature, top_k and top_p are for --mode=sample, not for {mode}"
        )
    if mode == "random_codes":
        return _random_codes(tokenizer, request.seed)
    images = _TestImages(trained, request.seed, data_dir)
    return (
        _reconstructions(tokenizer, images) if mode == "reconstruct" else _walks(tokenizer, images)
    )


def check_learned(trained: Trained) -> None:
    """Raises an InputError unless a prior can be sampled from: all its levels have been learned."""
    names = level_names(len(trained.model.grids))
    unlearned = [name for name in names if name not in trained.data["learned_levels"]]
    if unlearned:
        raise InputError(
            f"this run has not learned the {' and '.join(unlearned)} level; train that in a run "
            "of its own with config.trained_levels and --prior, and sample from that one"
        )


def _no_samples(trained: Trained, request: Request) -> Pictures:
    raise InputError(
        "this run is a tokenizer, which has nothing to sample from; train a prior on its codes, or "
        "use --mode=reconstruct, random_codes or interpolate"
    )


def _pixel_samples(trained: Trained, request: Request) -> Pictures:
    model = trained.model
    if request.guidance is not None:
        raise InputError("guidance is for priors; this run is a model of pixels")
    if len(request.strategies) != 1:
        raise InputError(
            f"a model of pixels takes one temperature, got {len(request.strategies)}; several are "
            "for the levels of priors"
        )
    # Before any sampling, which may take hours: does the label exist?
    label_context(model, request.label, 1)

    def draw(first: int, num: int) -> Int[np.ndarray, "b h w c"]:
        symbols = sample(
            model,
            jax.random.key(request.seed),
            num,
            context=label_context(model, request.label, num, first_image=first),
            strategies=request.strategies[0],
            method=request.method,
            first_image=first,
        )
        return np.asarray(symbols)

    classes = model.context_shape.num_classes
    return Pictures(model.grid.levels, draw, _class_columns(request, classes))


def _prior_samples(trained: Trained, request: Request) -> Pictures:
    prior, names = trained.model, level_names(len(trained.model.grids))
    check_learned(trained)
    if len(request.strategies) not in (1, len(names)):
        raise InputError(
            f"expected one temperature, or one for each level ({', '.join(names)}), "
            f"got {len(request.strategies)}"
        )
    by_level = list(request.strategies) * (len(names) if len(request.strategies) == 1 else 1)
    # Before any folder is made for them.
    labels_in_turn(prior.num_classes, request.label, 1)
    prior.check_guidance(request.guidance)

    def draw(first: int, num: int) -> Int[np.ndarray, "b h w c"]:
        pixels = prior.sample(
            jax.random.key(request.seed),
            num,
            label=labels_in_turn(prior.num_classes, request.label, num, first_image=first),
            strategies=by_level,
            guidance=request.guidance,
            method=request.method,
            first_image=first,
            tokenizer=trained.tokenizer,
        )
        return as_shades(np.asarray(pixels))

    return Pictures(256, draw, _class_columns(request, prior.num_classes))


def _class_columns(request: Request, num_classes: int) -> int | None:
    """Classes in turn make one column of each class, if they are few enough for one row."""
    return num_classes if request.label is None and 1 < num_classes <= MOST_COLUMNS else None


def _random_codes(tokenizer: VQVAE, seed: int) -> Pictures:
    """Uniformly random codes, decoded."""

    def draw(first: int, num: int) -> Int[np.ndarray, "b h w c"]:
        codes = random_codes(jax.random.key(seed), first + jnp.arange(num), tokenizer.code_grids)
        return as_shades(np.asarray(tokenizer.decode_codes(codes)))

    return Pictures(256, draw)


def _reconstructions(tokenizer: VQVAE, images: "_TestImages") -> Pictures:
    """Originals above their reconstructions."""
    graph, weights = nnx.split(tokenizer)

    def draw(first: int, num: int) -> Int[np.ndarray, "b h w c"]:
        originals = images.pixels(np.arange(first, first + num))
        return as_shades(above(originals, np.asarray(_reconstruct(graph, weights, originals))))

    return Pictures(256, draw)


def _walks(tokenizer: VQVAE, images: "_TestImages") -> Pictures:
    """Rows of images between two, evenly spaced between the vectors of their codes."""
    graph, weights = nnx.split(tokenizer)

    def draw(first: int, num: int) -> Int[np.ndarray, "b h w c"]:
        walk, place = np.divmod(np.arange(first, first + num), WALK)
        start, end = images.pixels(2 * walk), images.pixels(2 * walk + 1)
        share = (place / (WALK - 1)).astype(np.float32)
        return as_shades(np.asarray(_between(graph, weights, start, end, share)))

    return Pictures(256, draw, columns=WALK)


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


class _TestImages:
    """The test images of a run's data set, in an order of their own for each seed."""

    def __init__(self, trained: Trained, seed: int, data_dir: str | None):
        config = trained.tokenizer_config or trained.config
        self._dataset, self._symbols, self._grid = open_data(
            {**config, **({"data_dir": data_dir} if data_dir else {})}
        )
        if list(self._grid.shape) != list(trained.data["shape"]):
            raise InputError(
                f"the run was trained on images of shape {trained.data['shape']}, but "
                f"{self._dataset.name} now has {list(self._grid.shape)}"
            )
        self._split = self._dataset.splits["test"]
        self._order = np.random.default_rng(seed).permutation(len(self._split))

    def pixels(self, numbers: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n h w c"]:
        """Images by number, in [0, 1]; after the last comes the first again."""
        indices = self._order[numbers % len(self._order)]
        pixels, _ = self._split.source.read(indices)
        symbols = self._symbols.to_symbols(
            pixels, self._split.native_levels, split="test", indices=indices
        )
        return to_pixels(symbols, self._grid.levels)

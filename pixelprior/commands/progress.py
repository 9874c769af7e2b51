"""Samples as they fill up, in the order in which their symbols are drawn.

Legend: f frames, n images, h height, w width, c channels.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from pixelprior.data import to_pixels
from pixelprior.models.base import GridModel
from pixelprior.priors.prior import Prior
from pixelprior.sampling.draw_grids import draw_order
from pixelprior.tokenizers.vqvae import VQVAE

GREY = np.float32(0.5)  # what is yet to come


def pixels_filling_up(
    model: GridModel, symbols: Int[np.ndarray, "n h w c"], num_frames: int
) -> list[Float[np.ndarray, "n h w c"]]:
    """The first pixels of each image, more in every frame, in [0, 1]; the others are grey."""
    pixels, order = to_pixels(symbols, model.grid.levels), draw_order(model)[..., None]
    counts = _counts(order.size, num_frames)
    return [np.where(order < count, pixels, GREY) for count in counts]


def codes_filling_up(
    prior: Prior,
    tokenizer: VQVAE,
    codes: Sequence[Int[Array, "n _ _ g"]],
    num_frames: int,
) -> list[Float[np.ndarray, "n h w c"]]:
    """What the first codes of each image decode to, in [0, 1], level by level.

    In place of a code that is yet to come stands the vector zero.
    """
    orders, before = [], 0
    for model in prior.levels:
        order = draw_order(model)
        orders.append(before + order)
        before += order.size
    graph, weights = nnx.split(tokenizer)
    return [
        np.asarray(_decode_some(graph, weights, codes, [order < count for order in orders]))
        for count in _counts(before, num_frames)
    ]


@functools.partial(jax.jit, static_argnames="graph")
def _decode_some(
    graph: nnx.GraphDef,
    weights: Any,
    codes: Sequence[Int[Array, "n _ _ g"]],
    drawn: Sequence[Bool[Array, "_ _"]],
) -> Float[Array, "n h w c"]:
    tokenizer = nnx.merge(graph, weights)
    vectors = tokenizer.lookup(codes)
    return tokenizer.decode(
        [jnp.where(here[..., None], level, 0.0) for here, level in zip(drawn, vectors, strict=True)]
    )


def _counts(total: int, num_frames: int) -> Int[np.ndarray, " f"]:
    """How many are there in each frame: none in the first one, all in the last."""
    return np.rint(np.linspace(0, total, num_frames)).astype(int)

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
from jaxtyping import Array, Float, Int

from pixelprior.data import to_pixels
from pixelprior.models.base import GridModel
from pixelprior.prior import Prior
from pixelprior.sampling.draw_grids import draw_order
from pixelprior.sampling.known import UNKNOWN
from pixelprior.tokenizers.vqvae import VQVAE

GREY = np.float32(0.5)  # what is yet to come


def pixels_filling_up(
    model: GridModel, symbols: Int[np.ndarray, "n h w c"], num_frames: int
) -> list[Float[np.ndarray, "n h w c"]]:
    """The first pixels of each image, more in every frame, in [0, 1]; the others are grey."""
    order = draw_order(model)[..., None]
    return [
        pixels_so_far(np.where(order < count, symbols, UNKNOWN), model.grid.levels)
        for count in _counts(order.size, num_frames)
    ]


def pixels_so_far(symbols: Int[np.ndarray, "n h w c"], levels: int) -> Float[np.ndarray, "n h w c"]:
    """What is drawn of images, in [0, 1]; grey where they are `UNKNOWN`."""
    return np.where(symbols == UNKNOWN, GREY, to_pixels(symbols, levels))


def codes_filling_up(
    prior: Prior,
    tokenizer: VQVAE,
    codes: Sequence[Int[Array, "n _ _ g"]],
    num_frames: int,
) -> list[Float[np.ndarray, "n h w c"]]:
    """What the first codes of each image decode to, in [0, 1], level by level."""
    orders, before = [], 0
    for model in prior.levels:
        order = draw_order(model)[..., None]
        orders.append(before + order)
        before += order.size
    return [
        codes_so_far(
            tokenizer,
            [
                jnp.where(order < count, level, UNKNOWN)
                for order, level in zip(orders, codes, strict=True)
            ],
        )
        for count in _counts(before, num_frames)
    ]


def codes_so_far(
    tokenizer: VQVAE, codes: Sequence[Int[Array, "n _ _ g"]]
) -> Float[np.ndarray, "n h w c"]:
    """What codes decode to, in [0, 1], with the vector zero in place of those `UNKNOWN`."""
    return np.asarray(_decode_known(*nnx.split(tokenizer), codes))


@functools.partial(jax.jit, static_argnames="graph")
def _decode_known(
    graph: nnx.GraphDef, weights: Any, codes: Sequence[Int[Array, "n _ _ g"]]
) -> Float[Array, "n h w c"]:
    tokenizer = nnx.merge(graph, weights)
    vectors = tokenizer.lookup([jnp.maximum(level, 0) for level in codes])
    return tokenizer.decode(
        [
            # The codebooks of a position are drawn one after the other, so all or none are known.
            jnp.where((level != UNKNOWN).all(axis=-1, keepdims=True), vector, 0.0)
            for level, vector in zip(codes, vectors, strict=True)
        ]
    )


def _counts(total: int, num_frames: int) -> Int[np.ndarray, " f"]:
    """How many are there in each frame: none in the first one, all in the last."""
    return np.rint(np.linspace(0, total, num_frames)).astype(int)

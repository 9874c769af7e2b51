"""The models that the tests are about, small: to add one is to add a line to `MODELS`."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pixelprior import GatedPixelCNN, PixelCNN, PixelSNAIL, Transformer
from pixelprior.models.guided import Guided

NUM_LAYERS, KERNEL, FIRST_KERNEL = 2, 3, 5
SIZES = dict(
    features=4,
    num_layers=NUM_LAYERS,
    kernel_size=KERNEL,
    first_kernel_size=FIRST_KERNEL,
    embedding_features=3,
    head_features=6,
)

ATTENTION_SIZES = dict(
    features=4,
    num_layers=2,
    num_heads=2,
    first_kernel_size=3,
    embedding_features=3,
    head_features=6,
)


def seen_by_masked_convolutions(height, width):
    """[i, j, m, n]: whether a stack of masked convolutions at (i, j) sees (m, n).

    Walks the taps: those of one masked kernel are all places of its square before the centre, and
    the centre but in the first layer; what a stack sees is what its taps' taps see.
    """
    seen = np.eye(height * width, dtype=bool)
    for size, own in [(FIRST_KERNEL, False)] + [(KERNEL, True)] * NUM_LAYERS:
        half = size // 2
        taps = np.zeros((height, width, height, width), bool)
        for i, j, m, n in np.ndindex(taps.shape):
            inside = abs(i - m) <= half and abs(j - n) <= half
            taps[i, j, m, n] = inside and ((m, n) < (i, j) or (own and (m, n) == (i, j)))
        seen = taps.reshape(seen.shape) @ seen
    return seen.reshape(height, width, height, width)


def seen_without_blind_spot(height, width):
    """[i, j, m, n]: whether (m, n) is before (i, j) and in the square that the kernels span."""
    reach = FIRST_KERNEL // 2 + NUM_LAYERS * (KERNEL // 2)
    seen = np.zeros((height, width, height, width), bool)
    for i, j, m, n in np.ndindex(seen.shape):
        seen[i, j, m, n] = (m, n) < (i, j) and abs(i - m) <= reach and abs(j - n) <= reach
    return seen


def everything_before(height, width):
    """[i, j, m, n]: whether (m, n) is before (i, j) in raster order."""
    positions = height * width
    return np.tri(positions, k=-1, dtype=bool).reshape(height, width, height, width)


class Model(NamedTuple):
    make: Callable  # grid, settings of its own or of all models, rngs -> the model
    claims: Callable  # height, width -> [i, j, m, n]: the pixels that it says it sees
    kinds: tuple = ("none", "class", "map", "both")  # of context
    # Whether what sampling remembers grows with the rows that layers look at, not with the image.
    remembers_rows: bool = True
    # Products of a cached sample, as a multiple of those of one evaluation.
    cached_cost: tuple = (1.0, 1.0)  # from, to


GUIDANCE = 1.7


def guided(grid, **settings):
    return Guided(GatedPixelCNN(grid, **SIZES, **settings), GUIDANCE)


MODELS = {
    "pixel_cnn": Model(functools.partial(PixelCNN, **SIZES), seen_by_masked_convolutions),
    "gated_pixel_cnn": Model(functools.partial(GatedPixelCNN, **SIZES), seen_without_blind_spot),
    "pixel_snail": Model(
        functools.partial(PixelSNAIL, num_residuals=1, **ATTENTION_SIZES),
        everything_before,
        remembers_rows=False,
        cached_cost=(1.0, 4.0),
    ),
    "transformer": Model(
        functools.partial(Transformer, **ATTENTION_SIZES),
        everything_before,
        remembers_rows=False,
        cached_cost=(1.0, 4.0),
    ),
    "guided": Model(guided, seen_without_blind_spot, kinds=("class", "both")),
}

"""The models that the tests are about, small: to add one is to add a line to `MODELS`."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

import pixelprior.models
from pixelprior import (
    MADE,
    NADE,
    AnyOrderTransformer,
    DiagonalBiLSTM,
    GatedPixelCNN,
    MultiScale,
    PixelCNN,
    PixelCNNPP,
    PixelSNAIL,
    RowLSTM,
    Transformer,
)
from pixelprior.models.guided import Guided
from tests.release import BEFORE_A_RELEASE

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

# Its heads rotate four features together.
ANY_ORDER_SIZES = ATTENTION_SIZES | {"features": 8}

# Two features, since nothing bounds what its blocks add: with more, random weights make features of
# several hundreds.
STRIDED_SIZES = dict(
    features=2, num_blocks=1, embedding_features=3, head_features=6, num_mixtures=2
)
# While sampling, a position looks at the places of all rows in its window, also of those to come.
ATTENTION_COST = (1.0, 1.2)
# Coarse layers are counted for every row and column, but are computed for every second one only.
STRIDED_COST = (1.0, 1.7)

FULLY_CONNECTED_SIZES = dict(features=4, output_features=4, embedding_features=3, head_features=6)


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


def raster(height, width):
    """[i, j]: which place (i, j) has in the order that a model draws in."""
    return np.arange(height * width).reshape(height, width)


def small_grid_first(height, width):
    """[i, j]: the same for two scales, the smaller of every second row and column."""
    rows, columns = np.indices((height, width))
    not_small = (rows % 2 != 0) | (columns % 2 != 0)
    order = np.lexsort((columns.ravel(), rows.ravel(), not_small.ravel()))
    return np.argsort(order).reshape(height, width)


def seen_by_two_scales(height, width):
    """[i, j, m, n]: the small grid sees itself; other pixels see all of it, and what is near."""
    seen = seen_without_blind_spot(height, width)
    small = np.zeros((height, width), bool)
    small[::2, ::2] = True
    seen[:, :, small] = True
    seen[small] = False
    own = seen_without_blind_spot(*small[::2, ::2].shape)
    seen[np.ix_(*[range(0, size, 2) for size in (height, width) * 2])] = own
    return seen


def shuffled(height, width):
    """[i, j]: the same for an order that is no other model's."""
    return np.random.default_rng(3).permutation(height * width).reshape(height, width)


def everything_before_when_shuffled(height, width):
    """[i, j, m, n]: whether (m, n) is before (i, j) in that order."""
    order = shuffled(height, width)
    return order[:, :, None, None] > order


class InShuffledOrder(AnyOrderTransformer):
    """The any-order model, of which a context without an order means another one than raster."""

    def default_order(self, batch):
        order = shuffled(self.grid.height, self.grid.width).astype(np.int32)
        return jnp.broadcast_to(order, (batch, *order.shape))


def seen_by_lstms(height, width, layer):
    """[i, j, m, n]: whether layers of LSTMs at (i, j), after a masked convolution, see (m, n).

    ``layer`` walks the taps of one layer: given what its inputs see, what its outputs do.
    """
    half = FIRST_KERNEL // 2
    seen = np.zeros((height, width, height, width), bool)
    for i, j, m, n in np.ndindex(seen.shape):
        seen[i, j, m, n] = (m, n) < (i, j) and abs(i - m) <= half and abs(j - n) <= half
    for _ in range(NUM_LAYERS):
        # The input is added to the output.
        seen = seen | layer(seen)
    return seen


def seen_by_row_lstm(height, width):
    def layer(inputs):
        hidden = np.zeros_like(inputs)
        for i, j in np.ndindex(height, width):
            for n in range(max(j - KERNEL // 2, 0), j + 1):
                hidden[i, j] |= inputs[i, n]
            for n in range(max(j - KERNEL // 2, 0), min(j + KERNEL // 2 + 1, width)):
                if i > 0:
                    hidden[i, j] |= hidden[i - 1, n]
        return hidden

    return seen_by_lstms(height, width, layer)


def seen_by_diagonal_bilstm(height, width):
    def layer(inputs):
        # By one row and two columns larger, for what is beyond the edges and sees nothing.
        larger = (height + 1, width + 2, height, width)
        rightwards, leftwards = np.zeros(larger, bool), np.zeros(larger, bool)
        outputs = np.zeros_like(inputs)
        for i in range(height):
            for j in range(width):
                above, left = rightwards[i, j + 1], rightwards[i + 1, j]
                rightwards[i + 1, j + 1] = inputs[i, j] | above | left
            for j in reversed(range(width)):
                above, right = leftwards[i, j + 1], leftwards[i + 1, j + 2]
                leftwards[i + 1, j + 1] = inputs[i, j] | above | right
            # The rightwards states of this row, and the leftwards ones of the row above.
            outputs[i] = rightwards[i + 1, 1:-1] | leftwards[i, 1:-1]
        return outputs

    return seen_by_lstms(height, width, layer)


class Model(NamedTuple):
    make: Callable  # grid, settings of its own or of all models, rngs -> the model
    claims: Callable  # height, width -> [i, j, m, n]: the pixels that it says it sees
    kinds: tuple = ("none", "class", "map", "all")  # of context; all: all at once
    depth: str | None = "num_layers"  # what its depth is called; None without one
    order: Callable = raster  # height, width -> [i, j]; another one than raster has no two ways
    # Whether it is no model in raster order itself, but draws a sequence with such a model.
    sequence: bool = False
    # Whether what sampling remembers grows with the rows that layers look at, not with the image.
    remembers_rows: bool = True
    # Products of a cached sample, as a multiple of those of one evaluation.
    cached_cost: tuple = (1.0, 1.0)  # from, to
    stacked: bool = True  # whether its layers are a `Stack`
    rematerialises: bool = True  # whether `remat` has an effect

    def deep(self, layers):
        """The setting of so many layers, of a model that has layers."""
        return {} if self.depth is None else {self.depth: layers}


GUIDANCE = 1.7


def guided(grid, **settings):
    return Guided(GatedPixelCNN(grid, null_class=True, **SIZES, **settings), GUIDANCE)


MODELS = {
    "pixel_cnn": Model(functools.partial(PixelCNN, **SIZES), seen_by_masked_convolutions),
    "gated_pixel_cnn": Model(functools.partial(GatedPixelCNN, **SIZES), seen_without_blind_spot),
    "gated_pixel_cnn_mixture": Model(
        functools.partial(GatedPixelCNN, head="logistic_mixture", num_mixtures=2, **SIZES),
        seen_without_blind_spot,
        # Each of the three channels asks the head for its logits, whose products are the same (and
        # the same to the compiler, which then does them once).
        cached_cost=(1.0, 1.3),
    ),
    "pixel_cnn_pp": Model(
        functools.partial(PixelCNNPP, num_scales=2, **STRIDED_SIZES),
        everything_before,
        depth="num_blocks",
        cached_cost=STRIDED_COST,
    ),
    "pixel_cnn_pp_three_scales": Model(
        functools.partial(PixelCNNPP, num_scales=3, **STRIDED_SIZES),
        everything_before,
        kinds=("none", "all"),  # what contexts do is no other than with two
        depth="num_blocks",
        cached_cost=STRIDED_COST,
    ),
    "row_lstm": Model(functools.partial(RowLSTM, **SIZES), seen_by_row_lstm),
    "diagonal_bilstm": Model(
        functools.partial(
            DiagonalBiLSTM, **{name: size for name, size in SIZES.items() if name != "kernel_size"}
        ),
        seen_by_diagonal_bilstm,
        # Over whole grids a column of the skewed grid is computed from top to bottom, also where a
        # row has not begun or is over: 6 x 4 states for the 4 x 3 of a grid of three columns.
        cached_cost=(0.7, 1.0),
    ),
    "pixel_snail": Model(
        functools.partial(PixelSNAIL, num_residuals=1, **ATTENTION_SIZES),
        everything_before,
        remembers_rows=False,
        cached_cost=ATTENTION_COST,
    ),
    "transformer": Model(
        functools.partial(Transformer, **ATTENTION_SIZES),
        everything_before,
        remembers_rows=False,
        cached_cost=ATTENTION_COST,
    ),
    "multi_scale": Model(
        functools.partial(MultiScale, context_num_blocks=1, **SIZES),
        seen_by_two_scales,
        order=small_grid_first,
        # Each scale remembers rows, but the smaller grid's map is one array of all its features.
        remembers_rows=False,
    ),
    "any_order_transformer": Model(
        functools.partial(AnyOrderTransformer, **ANY_ORDER_SIZES),
        everything_before,
        sequence=True,
        remembers_rows=False,
        cached_cost=ATTENTION_COST,
    ),
    "any_order_transformer_shuffled": Model(
        functools.partial(InShuffledOrder, **ANY_ORDER_SIZES),
        everything_before_when_shuffled,
        order=shuffled,
        sequence=True,
        remembers_rows=False,
        cached_cost=ATTENTION_COST,
    ),
    "made": Model(
        functools.partial(MADE, num_layers=2, **FULLY_CONNECTED_SIZES),
        everything_before,
        remembers_rows=False,
        # The weights within a row are used twice, and the grid has four rows.
        cached_cost=(1.0, 1.25),
        stacked=False,
        # It has few features beside its kernels.
        rematerialises=False,
    ),
    "nade": Model(
        # Its units belong to all pixels, and the head is to be the smaller part of the work.
        functools.partial(NADE, **FULLY_CONNECTED_SIZES | {"features": 32}),
        everything_before,
        depth=None,
        # The last pixel of a row is added at the start of the next row of three columns.
        cached_cost=(1.0, 1.3),
        stacked=False,
    ),
    "guided": Model(guided, seen_without_blind_spot, kinds=("class", "all")),
}

# Those that a config can name; the others are variants of them.
SHIPPED = {name: MODELS[name] for name in pixelprior.models.MODELS}
# The one that stands for all of them in fast tests of what is written once.
ONE = "gated_pixel_cnn"
# PixelCNN++ of two scales has the head of the first one and the blocks of the second one.
COVERED = ("gated_pixel_cnn_mixture", "pixel_cnn_pp_three_scales")


def one_fast_others_slow(names):
    """A test of every model: all but one are slow, and some wait for a release."""

    def marks(name):
        if name in COVERED:
            return BEFORE_A_RELEASE
        return [] if name == ONE else [pytest.mark.slow]

    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=marks(name)) for name in names]
    )

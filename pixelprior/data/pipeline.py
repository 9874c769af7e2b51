"""Batches of symbols, for training and for evaluation.

Legend: b batch, or the rows of it that are wanted, h height, w width, c channels.

Batch number ``step`` of a training run is a pure function of (seed, step). So resuming needs no
iterator state, and a process of several that share the work reads its rows of each batch alone.
"""

import sys
from collections.abc import Iterator
from typing import TypedDict

import numpy as np
from jaxtyping import Bool, Int32

from pixelprior.data.dataset import Split
from pixelprior.data.order import (
    ALL_ROWS,
    FLIPS,
    Rows,
    check_batch_size,
    evaluation_indices,
    training_indices,
)
from pixelprior.data.read_ahead import read_ahead
from pixelprior.data.symbols import Symbols


class Batch(TypedDict):
    """A batch of training images.

    Attributes:
        image: symbols, int32 ``[b, h, w, c]``.
        label: the index of each one's class, int32 ``[b]``.
    """

    image: Int32[np.ndarray, "b h w c"]
    label: Int32[np.ndarray, " b"]


class EvaluationBatch(Batch):
    """A batch of images to evaluate on, some of which may be there only to fill it.

    Attributes:
        mask: bool ``[b]``, False for the images that fill up the last batch and must not count.
    """

    mask: Bool[np.ndarray, " b"]


def training_batch(
    split: Split,
    symbols: Symbols,
    *,
    batch_size: int,
    seed: int,
    flip: bool,
    step: int,
    rows: Rows = ALL_ROWS,
) -> Batch:
    """Batch number ``step``: a pure function of its arguments.

    Every epoch visits each image once, in an order of its own; a batch may span several epochs.

    Args:
        split: the images.
        symbols: how they become symbols.
        batch_size: how many images, at least 1.
        seed: any integer of at least 0; names the run's order, flips and dynamic draws.
        flip: whether to mirror images left to right, each with probability 1/2.
        step: the number of the batch, from 0.
        rows: which of its rows are wanted.

    Raises:
        DataError: if a number is out of range, or an image cannot be read.
    """
    _check(split, symbols, batch_size)
    indices = training_indices(len(split), batch_size, seed, step)[rows]
    pixels, labels = split.source.read(indices)
    image = symbols.to_symbols(
        pixels,
        split.native_levels,
        split=split.name,
        indices=indices,
        fresh=(seed, step),
        places=np.arange(batch_size)[rows],
    )
    if flip:
        # After the draw: a statically binarised image stays the same image when mirrored.
        mirrored = np.random.default_rng([seed, FLIPS, step]).random(batch_size)[rows] < 0.5
        image[mirrored] = image[mirrored, :, ::-1]
    return {"image": image, "label": labels}


def training_batches(
    split: Split,
    symbols: Symbols,
    *,
    batch_size: int,
    seed: int,
    flip: bool,
    start_step: int,
    rows: Rows = ALL_ROWS,
) -> Iterator[Batch]:
    """Training batches without end, from number ``start_step`` on, read ahead in threads.

    Each one is the `training_batch` of its step.

    Raises:
        DataError: as `training_batch` does; for an image that cannot be read, or a negative seed or
            step, when a batch is asked for.
    """
    _check(split, symbols, batch_size)

    def batch(step: int) -> Batch:
        return training_batch(
            split, symbols, batch_size=batch_size, seed=seed, flip=flip, step=step, rows=rows
        )

    return read_ahead(batch, range(start_step, sys.maxsize))


def evaluation_batches(
    split: Split, symbols: Symbols, *, batch_size: int, rows: Rows = ALL_ROWS
) -> Iterator[EvaluationBatch]:
    """Every image of a split once, in order, in batches of one size, read ahead in threads.

    The last batch is filled up with copies of the first image, which its mask tells from real ones.
    Random binarisation is the fixed draw of each image, whatever was drawn in training.

    Raises:
        DataError: if ``batch_size`` is below 1 or the symbols have more levels than the pixels; and
            when a batch is asked for, if one of its images cannot be read.
    """
    _check(split, symbols, batch_size)

    def batch(start: int) -> EvaluationBatch:
        indices, mask = (x[rows] for x in evaluation_indices(len(split), batch_size, start))
        pixels, labels = split.source.read(indices)
        image = symbols.to_symbols(pixels, split.native_levels, split=split.name, indices=indices)
        return {"image": image, "label": labels, "mask": mask}

    return read_ahead(batch, range(0, len(split), batch_size))


def _check(split: Split, symbols: Symbols, batch_size: int) -> None:
    check_batch_size(batch_size)
    symbols.check(split.native_levels)

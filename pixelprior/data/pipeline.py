"""Batches of symbols, for training and for evaluation.

Legend: b batch, or the selected rows of it, h height, w width, c channels, k attributes.

Batch number ``step`` of a training run is a pure function of the seed, the step and the number of
earlier images. Resuming therefore needs no iterator state. If several processes share the work,
each reads only its rows of a batch.
"""

import sys
from collections.abc import Iterator
from typing import Any, NotRequired, TypedDict

import numpy as np
from jaxtyping import Bool, Float32, Int, Int32

from pixelprior.data.augmentation import NONE, Augmentation, BatchDraws
from pixelprior.data.dataset import Split
from pixelprior.data.order import (
    ALL_ROWS,
    START,
    Position,
    Rows,
    check_batch_size,
    check_training,
    evaluation_indices,
    first_example,
    training_indices,
)
from pixelprior.data.read_ahead import read_ahead
from pixelprior.data.symbols import Symbols


class Batch(TypedDict):
    """A batch of training images.

    Attributes:
        image: symbols, int32 ``[b, h, w, c]``.
        label: the class index of each image, int32 ``[b]``.
        attributes: the attributes of each image, float32 ``[b, k]``; missing if there are none.
    """

    image: Int32[np.ndarray, "b h w c"]
    label: Int32[np.ndarray, " b"]
    attributes: NotRequired[Float32[np.ndarray, "b k"]]


class EvaluationBatch(Batch):
    """A batch of images to evaluate on. The last batch may contain padding.

    Attributes:
        mask: bool ``[b]``, False for padding, which must not count.
    """

    mask: Bool[np.ndarray, " b"]


def training_batch(
    split: Split,
    symbols: Symbols,
    *,
    batch_size: int,
    seed: int,
    step: int,
    augmentation: Augmentation = NONE,
    start: Position = START,
    rows: Rows = ALL_ROWS,
) -> Batch:
    """Batch number ``step``: a pure function of its arguments.

    Every epoch visits each image once, in its own order. A batch may span several epochs.

    Args:
        split: the images.
        symbols: the conversion from pixels to symbols.
        batch_size: the number of images, at least 1.
        seed: any integer of at least 0; determines the order, the augmentation and the dynamic
            draws.
        step: the number of the batch, from 0.
        augmentation: random changes of the images.
        start: an earlier position, from which on all batches have this size.
        rows: the rows of the batch to return.

    Raises:
        DataError: if a number is out of range, an image cannot be read, or the images cannot be
            augmented so.
    """
    _check(split, symbols, batch_size, augmentation)
    check_training(batch_size, seed, step)
    first = first_example(step, batch_size, start)
    indices = training_indices(len(split), batch_size, seed, first)[rows]
    draws = BatchDraws(seed, step, batch_size, rows)
    pixels, labels = split.source.read(indices)
    image = symbols.to_symbols(
        augmentation.change_colours(pixels, split.native_levels, draws),
        split.native_levels,
        split=split.name,
        indices=indices,
        fresh=(seed, step),
        places=np.arange(batch_size)[rows],
    )
    batch = {"image": augmentation.change_positions(image, draws), "label": labels}
    return _with_attributes(batch, split, indices)


def training_batches(
    split: Split,
    symbols: Symbols,
    *,
    batch_size: int,
    seed: int,
    augmentation: Augmentation = NONE,
    start: Position = START,
    rows: Rows = ALL_ROWS,
) -> Iterator[Batch]:
    """Endless training batches from a position on, read ahead in threads.

    Each batch is the `training_batch` of its step.

    Raises:
        DataError: if ``batch_size`` is below 1, the symbols have more values than the pixels, or
            the images cannot be augmented so. An image that cannot be read, or a negative seed or
            step, raises it when the caller takes the batch.
    """
    _check(split, symbols, batch_size, augmentation)

    def batch(step: int) -> Batch:
        return training_batch(
            split,
            symbols,
            batch_size=batch_size,
            seed=seed,
            step=step,
            augmentation=augmentation,
            start=start,
            rows=rows,
        )

    return read_ahead(batch, range(start.step, sys.maxsize))


def evaluation_batches(
    split: Split, symbols: Symbols, *, batch_size: int, rows: Rows = ALL_ROWS
) -> Iterator[EvaluationBatch]:
    """Every image of a split once, in order, in batches of one size, read ahead in threads.

    The last batch is padded with copies of the first image. Its mask marks them. Random
    binarisation uses one fixed draw for each image, in every run.

    Raises:
        DataError: if ``batch_size`` is below 1 or the symbols have more values than the pixels. An
            image that cannot be read raises it when the caller takes the batch.
    """
    _check(split, symbols, batch_size)

    def batch(start: int) -> EvaluationBatch:
        indices, mask = (x[rows] for x in evaluation_indices(len(split), batch_size, start))
        pixels, labels = split.source.read(indices)
        image = symbols.to_symbols(pixels, split.native_levels, split=split.name, indices=indices)
        return _with_attributes({"image": image, "label": labels, "mask": mask}, split, indices)

    return read_ahead(batch, range(0, len(split), batch_size))


def _with_attributes(batch: Any, split: Split, indices: Int[np.ndarray, " b"]) -> Any:
    """Add the attributes of the images to a batch, if they have any."""
    if not split.source.num_attributes:
        return batch
    return {**batch, "attributes": split.source.attributes(indices)}


def _check(
    split: Split, symbols: Symbols, batch_size: int, augmentation: Augmentation = NONE
) -> None:
    check_batch_size(batch_size)
    symbols.check(split.native_levels)
    augmentation.check(split.source.shape, symbols.levels)

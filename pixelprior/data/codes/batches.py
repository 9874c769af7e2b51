"""Batches of code maps to train and evaluate a prior; `pipeline` does the same for images.

Legend: b batch, or the selected rows of it, h height, w width, c codebooks per position, k
attributes. Every level has its own h, w and c.
"""

import sys
from collections.abc import Iterator
from typing import Any, NotRequired, TypedDict

import numpy as np
from jaxtyping import Bool, Float32, Int32

from pixelprior.data.codes.code_set import CodeSplit
from pixelprior.data.codes.records import Coded
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


class CodeBatch(TypedDict):
    """A batch of maps to train on.

    Attributes:
        codes: the codes of each level, coarsest first, int32 ``[b, h, w, c]``.
        label: the class index of each image, int32 ``[b]``.
        attributes: the attributes of each image, float32 ``[b, k]``; missing if there are none.
    """

    codes: list[Int32[np.ndarray, "b h w c"]]
    label: Int32[np.ndarray, " b"]
    attributes: NotRequired[Float32[np.ndarray, "b k"]]


class EvaluationCodeBatch(CodeBatch):
    """A batch of maps to evaluate on. The last batch may contain padding.

    Attributes:
        mask: bool ``[b]``, False for padding, which must not count.
    """

    mask: Bool[np.ndarray, " b"]


def training_code_batch(
    split: CodeSplit,
    *,
    batch_size: int,
    seed: int,
    step: int,
    start: Position = START,
    rows: Rows = ALL_ROWS,
) -> CodeBatch:
    """Batch number ``step``: a pure function of its arguments, in the same order as for images.

    Args:
        split: the maps.
        batch_size: the number of maps, at least 1.
        seed: any integer of at least 0; determines the order of the run.
        step: the number of the batch, from 0.
        start: an earlier position, from which on all batches have this size.
        rows: the rows of the batch to return.

    Raises:
        DataError: if a number is out of range, or a map cannot be read.
    """
    check_training(batch_size, seed, step)
    first = first_example(step, batch_size, start)
    return _as_batch(split.read(training_indices(len(split), batch_size, seed, first)[rows]))


def training_code_batches(
    split: CodeSplit,
    *,
    batch_size: int,
    seed: int,
    start: Position = START,
    rows: Rows = ALL_ROWS,
) -> Iterator[CodeBatch]:
    """Endless training batches from a position on, read ahead in threads.

    Each batch is the `training_code_batch` of its step.

    Raises:
        DataError: if a number is out of range. A map that cannot be read raises it when the caller
            takes the batch.
    """
    check_training(batch_size, seed, start.step)

    def batch(step: int) -> CodeBatch:
        return training_code_batch(
            split, batch_size=batch_size, seed=seed, step=step, start=start, rows=rows
        )

    return read_ahead(batch, range(start.step, sys.maxsize))


def evaluation_code_batches(
    split: CodeSplit, *, batch_size: int, rows: Rows = ALL_ROWS
) -> Iterator[EvaluationCodeBatch]:
    """Every map of a split once, in order, in batches of one size, read ahead in threads.

    The last batch is padded with copies of the first map. Its mask marks them.

    Raises:
        DataError: if ``batch_size`` is below 1. A map that cannot be read raises it when the caller
            takes the batch.
    """
    check_batch_size(batch_size)

    def batch(start: int) -> EvaluationCodeBatch:
        indices, mask = (x[rows] for x in evaluation_indices(len(split), batch_size, start))
        return _as_batch(split.read(indices), mask=mask)

    return read_ahead(batch, range(0, len(split), batch_size))


def _as_batch(images: Coded, **more: Any) -> Any:
    batch = {"codes": images.codes, "label": images.labels, **more}
    return batch if images.attributes is None else {**batch, "attributes": images.attributes}

"""Batches of code maps, for training and evaluating a prior, as `pipeline` makes those of images.

Legend: b batch, or the rows of it that are wanted, h height, w width, c codebooks per position.
Every level has its own h, w and c.
"""

import sys
from collections.abc import Iterator
from typing import TypedDict

import numpy as np
from jaxtyping import Bool, Int32

from pixelprior.data.codes.code_set import CodeSplit
from pixelprior.data.order import (
    ALL_ROWS,
    Rows,
    check_batch_size,
    check_training,
    evaluation_indices,
    training_indices,
)
from pixelprior.data.read_ahead import read_ahead


class CodeBatch(TypedDict):
    """A batch of maps to train on.

    Attributes:
        codes: of each level, coarsest first, int32 ``[b, h, w, c]``.
        label: the index of each one's class, int32 ``[b]``.
    """

    codes: list[Int32[np.ndarray, "b h w c"]]
    label: Int32[np.ndarray, " b"]


class EvaluationCodeBatch(CodeBatch):
    """A batch of maps to evaluate on, some of which may be there only to fill it.

    Attributes:
        mask: bool ``[b]``, False for the maps that fill up the last batch and must not count.
    """

    mask: Bool[np.ndarray, " b"]


def training_code_batch(
    split: CodeSplit, *, batch_size: int, seed: int, step: int, rows: Rows = ALL_ROWS
) -> CodeBatch:
    """Batch number ``step``: a pure function of its arguments, in the order of the images' batches.

    Args:
        split: the maps.
        batch_size: how many maps, at least 1.
        seed: any integer of at least 0; names the run's order.
        step: the number of the batch, from 0.
        rows: which of its rows are wanted.

    Raises:
        DataError: if a number is out of range, or a map cannot be read.
    """
    codes, labels = split.read(training_indices(len(split), batch_size, seed, step)[rows])
    return {"codes": codes, "label": labels}


def training_code_batches(
    split: CodeSplit, *, batch_size: int, seed: int, start_step: int, rows: Rows = ALL_ROWS
) -> Iterator[CodeBatch]:
    """Training batches without end, from number ``start_step`` on, read ahead in threads.

    Each one is the `training_code_batch` of its step.

    Raises:
        DataError: as `training_code_batch` does; for a map that cannot be read, when a batch is
            asked for.
    """
    check_training(batch_size, seed, start_step)

    def batch(step: int) -> CodeBatch:
        return training_code_batch(split, batch_size=batch_size, seed=seed, step=step, rows=rows)

    return read_ahead(batch, range(start_step, sys.maxsize))


def evaluation_code_batches(
    split: CodeSplit, *, batch_size: int, rows: Rows = ALL_ROWS
) -> Iterator[EvaluationCodeBatch]:
    """Every map of a split once, in order, in batches of one size, read ahead in threads.

    The last batch is filled up with copies of the first map, which its mask tells from real ones.

    Raises:
        DataError: if ``batch_size`` is below 1; and when a batch is asked for, if one of its maps
            cannot be read.
    """
    check_batch_size(batch_size)

    def batch(start: int) -> EvaluationCodeBatch:
        indices, mask = (x[rows] for x in evaluation_indices(len(split), batch_size, start))
        codes, labels = split.read(indices)
        return {"codes": codes, "label": labels, "mask": mask}

    return read_ahead(batch, range(0, len(split), batch_size))

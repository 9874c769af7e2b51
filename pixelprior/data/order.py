"""Order of examples. In training it depends only on (seed, step); evaluation keeps the order.

Legend: b batch, r rows of it, n examples of a split.
"""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Int64

from pixelprior.data.errors import DataError

ORDER, FLIPS, CROPS, COLOURS = 0, 1, 2, 3  # purposes of the random streams of a seed

Rows = slice | Int[np.ndarray, " r"]
"""Rows of a batch to return. Each of several processes needs only its own rows."""

ALL_ROWS = slice(None)


class Position(NamedTuple):
    """Position of a run in its training data.

    A run may change its batch size, so the steps alone do not determine the examples.

    Attributes:
        step: the number of steps taken.
        examples: the number of examples in their batches.
    """

    step: int
    examples: int


START = Position(0, 0)


def check_batch_size(batch_size: int) -> None:
    """Raise a DataError unless a batch holds at least one example."""
    if batch_size < 1:
        raise DataError(f"expected a batch_size of at least 1, got {batch_size}")


def check_training(batch_size: int, seed: int, number: int) -> None:
    """Raise a DataError unless these numbers define a training batch.

    Args:
        batch_size: the number of examples in a batch.
        seed: the seed.
        number: the number of earlier batches, or of the examples in them.
    """
    check_batch_size(batch_size)
    if seed < 0 or number < 0:
        raise DataError(f"expected seed and step of at least 0, got seed={seed}, step={number}")


def first_example(step: int, batch_size: int, start: Position) -> int:
    """Number of examples in the batches before number ``step``, counted on from ``start``."""
    return start.examples + (step - start.step) * batch_size


def training_indices(count: int, batch_size: int, seed: int, first: int) -> Int64[np.ndarray, " b"]:
    """Indices of the examples in a training batch.

    Every epoch visits each example once, in its own random order. The batches are consecutive
    slices of the concatenated epochs, so a batch may span several epochs.

    Args:
        count: the number of examples, n.
        batch_size: the number of examples in a batch, b.
        seed: any integer of at least 0.
        first: the number of examples in all earlier batches.

    Raises:
        DataError: if a number is out of range.
    """
    check_training(batch_size, seed, first)
    epochs, places = np.divmod(np.arange(first, first + batch_size), count)
    return np.concatenate(
        [
            _epoch_order(count, seed, int(epoch))[places[epochs == epoch]]
            for epoch in np.unique(epochs)
        ]
    )


# A batch needs the order of one or two epochs. Threads that read ahead need the next epoch too.
@functools.lru_cache(maxsize=4)
def _epoch_order(count: int, seed: int, epoch: int) -> Int64[np.ndarray, " n"]:
    return np.random.default_rng([seed, ORDER, epoch]).permutation(count)


def evaluation_indices(
    count: int, batch_size: int, start: int
) -> tuple[Int64[np.ndarray, " b"], Bool[np.ndarray, " b"]]:
    """Indices of the examples in the evaluation batch that begins with example ``start``.

    Returns:
        The indices and a mask. After the last example, indices are 0 and the mask is False.
    """
    indices = np.arange(start, start + batch_size)
    mask = indices < count
    indices[~mask] = 0
    return indices, mask

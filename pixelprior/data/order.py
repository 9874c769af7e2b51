"""Which examples make up a batch: of training, by (seed, step) alone; of evaluation, all in order.

Legend: b batch, r rows of it, n examples of a split.
"""

import functools

import numpy as np
from jaxtyping import Bool, Int, Int64

from pixelprior.data.errors import DataError

ORDER, FLIPS = 0, 1  # what a random stream of a seed is for

Rows = slice | Int[np.ndarray, " r"]
"""Which rows of a batch are wanted: those that one process of several has to do with."""

ALL_ROWS = slice(None)


def check_batch_size(batch_size: int) -> None:
    """Raises a DataError unless a batch holds at least one example."""
    if batch_size < 1:
        raise DataError(f"expected a batch_size of at least 1, got {batch_size}")


def check_training(batch_size: int, seed: int, step: int) -> None:
    """Raises a DataError unless there is a training batch of these numbers."""
    check_batch_size(batch_size)
    if seed < 0 or step < 0:
        raise DataError(f"expected seed and step of at least 0, got seed={seed}, step={step}")


def training_indices(count: int, batch_size: int, seed: int, step: int) -> Int64[np.ndarray, " b"]:
    """Which examples make up training batch number ``step``.

    They are a stretch of the epochs' orders laid end to end: every epoch visits each example once,
    in an order of its own, and a batch may span several epochs.

    Args:
        count: how many examples there are, n.
        batch_size: how many of them a batch holds, b.
        seed: any integer of at least 0.
        step: the number of the batch, from 0.

    Raises:
        DataError: if a number is out of range.
    """
    check_training(batch_size, seed, step)
    epochs, places = np.divmod(np.arange(step * batch_size, (step + 1) * batch_size), count)
    return np.concatenate(
        [
            _epoch_order(count, seed, int(epoch))[places[epochs == epoch]]
            for epoch in np.unique(epochs)
        ]
    )


# A batch needs the order of one epoch or two; the threads ahead of it, the next one's.
@functools.lru_cache(maxsize=4)
def _epoch_order(count: int, seed: int, epoch: int) -> Int64[np.ndarray, " n"]:
    return np.random.default_rng([seed, ORDER, epoch]).permutation(count)


def evaluation_indices(
    count: int, batch_size: int, start: int
) -> tuple[Int64[np.ndarray, " b"], Bool[np.ndarray, " b"]]:
    """Which examples make up the evaluation batch that begins with example ``start``.

    Returns:
        The indices, 0 where the examples have run out, and a mask that is False there.
    """
    indices = np.arange(start, start + batch_size)
    mask = indices < count
    indices[~mask] = 0
    return indices, mask

"""Splitting data that has no splits of its own."""

import numpy as np
from jaxtyping import Int64

from pixelprior.data.errors import DataError


def held_out(count: int, fraction: float) -> int:
    """Number of images that a fraction of ``count`` holds out: at least one, and never all.

    Raises:
        DataError: if there are fewer than two images.
    """
    if count < 2:
        raise DataError(f"expected at least 2 images to hold some out of, got {count}; add images")
    return min(max(round(count * fraction), 1), count - 1)


def permuted_splits(
    count: int, *, test_fraction: float, validation_fraction: float
) -> dict[str, tuple[Int64[np.ndarray, " n"], str]]:
    """Split ``count`` images by one fixed permutation, the same for all users of the data.

    The test images depend only on ``count`` and ``test_fraction``.

    Args:
        count: the number of images.
        test_fraction: the part of all images that is the test split.
        validation_fraction: the part of the rest that is the validation split.

    Returns:
        For each split, the indices of its images and its description.

    Raises:
        DataError: if there are too few images for three splits.
    """
    if count < 3:
        raise DataError(f"expected at least 3 images, one for each split, got {count}; add images")
    # NumPy promises never to change the stream of RandomState; it does not for Generator.
    order = np.random.RandomState(0).permutation(count)
    test = held_out(count, test_fraction)
    validation = held_out(count - test, validation_fraction)
    indices = {
        "train": order[test + validation :],
        "validation": order[test : test + validation],
        "test": order[:test],
    }
    return {
        name: (chosen, f"{len(chosen):,} of {count:,}, fixed permutation")
        for name, chosen in indices.items()
    }

"""Splitting data that has no splits of its own."""

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int64

from pixelprior.data.errors import DataError
from pixelprior.data.words import plural


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


SALT = "pixelprior/splits/1"
"""Start of all hashed texts. Another salt gives other splits, so it must never change."""

HASHED_TEST_FRACTION = 0.1


def hashed_splits(names: Sequence[str], validation_fraction: float) -> dict[str, list[str]]:
    """Split files by a hash of their names. The split of a file depends on its name alone.

    Every tenth file is a test file on average. Adding or removing files moves no other file, and
    runs of all seeds share the test files. Within a split, files are in the order of their hashes.

    Args:
        names: the names of the files, relative to the data set.
        validation_fraction: the share of the files outside the test split.

    Returns:
        The names in each split.

    Raises:
        DataError: if a split is empty.
    """
    splits: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for place, name in sorted((_place(name), name) for name in names):
        rest = (place - HASHED_TEST_FRACTION) / (1 - HASHED_TEST_FRACTION)
        if rest < 0:
            splits["test"].append(name)
        else:
            splits["validation" if rest < validation_fraction else "train"].append(name)
    for split, chosen in splits.items():
        if not chosen:
            raise DataError(
                f"the {split} split is empty: the hashes of the {plural(len(names), 'name')} put "
                f"no file into it; {_remedy(split, splits)}"
            )
    return splits


def _remedy(split: str, splits: Mapping[str, Sequence[str]]) -> str:
    """Say how an empty split can get a file. The files are in the order of their hashes."""
    if split == "validation" and len(splits["train"]) > 1:
        place = (_place(splits["train"][0]) - HASHED_TEST_FRACTION) / (1 - HASHED_TEST_FRACTION)
        return f"add images, or set validation_fraction={math.ceil(100 * place + 1) / 100:.2f}"
    if split == "train" and len(splits["validation"]) > 1:
        return "add images, or lower validation_fraction"
    return "add images; folders of fewer than 50 often have an empty split"


def _place(name: str) -> float:
    """Hash a name to a number in [0, 1)."""
    # Names on Linux are bytes, which may not be UTF-8.
    digest = hashlib.sha256(f"{SALT}\0{name}".encode(errors="surrogateescape")).digest()
    # 53 bits are exact in a float.
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53

"""Records of code maps: one for each image, with the codes of its levels and its label.

Legend: b batch, h height, w width, c codebooks per position, k codes. Every level has its own.

A record is the bytes of a little-endian NumPy structure. The grids of the levels alone determine
the structure. Reading therefore only reinterprets bytes, and nothing is ever unpickled.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Int32, Int64

from pixelprior.data.errors import DataError
from pixelprior.errors import InputError
from pixelprior.grid import Grid


def record_type(grids: Sequence[Grid]) -> np.dtype:
    """Structure of a record: ``label``, and each level in the smallest type that fits its codes."""
    return np.dtype([("label", "<i4"), *(_level(n, grid) for n, grid in enumerate(grids))])


def _level(number: int, grid: Grid) -> tuple[str, np.dtype, tuple[int, int, int]]:
    codes = np.min_scalar_type(grid.levels - 1).newbyteorder("<")
    return f"level{number}", codes, grid.shape


def pack(
    codes: Sequence[Int[np.ndarray, "b h w c"]],
    labels: Int[np.ndarray, " b"],
    grids: Sequence[Grid],
) -> np.ndarray:
    """Convert a batch of maps to records.

    Args:
        codes: the codes of each level, integers in ``[0, levels)`` of its grid.
        labels: the label of each image.
        grids: the grid of each level.

    Returns:
        An array ``[b]`` of `record_type`.

    Raises:
        DataError: if the codes do not fit their grids, or the numbers of maps and labels differ.
    """
    if len(codes) != len(grids):
        raise DataError(f"expected codes of {len(grids)} levels, got {len(codes)}")
    codes, labels = [np.asarray(level) for level in codes], np.asarray(labels)
    check_codes(codes, grids)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"expected integer labels of shape [batch], got {labels.dtype} {list(labels.shape)}"
        )
    sizes = [len(labels), *(len(level) for level in codes)]
    if len(set(sizes)) > 1:
        raise DataError(f"expected as many maps of every level as labels, got {sizes}")
    records = np.empty(len(labels), record_type(grids))
    records["label"] = labels
    for number, level in enumerate(codes):
        records[f"level{number}"] = level
    return records


def unpack(
    records: np.ndarray,
) -> tuple[list[Int32[np.ndarray, "b h w c"]], Int32[np.ndarray, " b"]]:
    """Convert an array ``[b]`` of records to the codes of each level and the labels."""
    label, *levels = records.dtype.names or ()
    return [records[level].astype(np.int32) for level in levels], records[label].astype(np.int32)


def check_codes(codes: Sequence[Int[np.ndarray, "b h w c"]], grids: Sequence[Grid]) -> None:
    """Raise a DataError unless every level's codes fit its grid."""
    for number, (level, grid) in enumerate(zip(codes, grids, strict=True)):
        try:
            grid.check(level)
        except InputError as error:
            raise DataError(f"codes of level {number} do not fit their grid: {error}") from error


def no_counts(grids: Sequence[Grid]) -> list[Int64[np.ndarray, "c k"]]:
    """Arrays of zeros in which to count the codes of each level."""
    return [np.zeros((grid.channels, grid.levels), np.int64) for grid in grids]


def add_counts(counts: Sequence[Int64[np.ndarray, "c k"]], records: np.ndarray) -> None:
    """Add to ``counts`` how often each code occurs in an array of records."""
    for level, total in zip(unpack(records)[0], counts, strict=True):
        for channel, uses in enumerate(total):
            uses += np.bincount(level[..., channel].ravel(), minlength=len(uses))

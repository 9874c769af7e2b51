"""Records of code maps: one for each image, with the codes of its levels, its label and attributes.

Legend: b batch, h height, w width, c codebooks per position, k attributes, v codes of a codebook.
Every level has its own h, w, c and v.

A record is the bytes of a little-endian NumPy structure. The grids of the levels and the number of
attributes alone determine the structure. Reading therefore only reinterprets bytes, and nothing is
ever unpickled.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Int64

from pixelprior.data.errors import DataError
from pixelprior.errors import InputError
from pixelprior.grid import Grid


class Coded(NamedTuple):
    """Codes of some images, with the labels and the attributes of the images.

    Attributes:
        codes: the codes of each level, coarsest first, integers in ``[0, levels)`` of its grid.
        labels: the label of each image.
        attributes: the attributes of each image; None if there are none.
    """

    codes: Sequence[Int[np.ndarray, "b h w c"]]
    labels: Int[np.ndarray, " b"]
    attributes: Float32[np.ndarray, "b k"] | None = None


def record_type(grids: Sequence[Grid], num_attributes: int = 0) -> np.dtype:
    """Structure of a record: ``label``, and each level in the smallest type that fits its codes.

    With attributes, ``attributes`` follow in float32.
    """
    attributes = [("attributes", "<f4", (num_attributes,))] if num_attributes else []
    levels = [_level(n, grid) for n, grid in enumerate(grids)]
    return np.dtype([("label", "<i4"), *levels, *attributes])


def _level(number: int, grid: Grid) -> tuple[str, np.dtype, tuple[int, int, int]]:
    codes = np.min_scalar_type(grid.levels - 1).newbyteorder("<")
    return f"level{number}", codes, grid.shape


def pack(images: Coded, grids: Sequence[Grid], num_attributes: int = 0) -> np.ndarray:
    """Convert a batch of images to records.

    Args:
        images: the codes, the labels and the attributes.
        grids: the grid of each level.
        num_attributes: the number of attributes of every image.

    Returns:
        An array ``[b]`` of `record_type`.

    Raises:
        DataError: if the codes do not fit their grids, or the numbers of maps, labels and
            attributes differ.
    """
    if len(images.codes) != len(grids):
        raise DataError(f"expected codes of {len(grids)} levels, got {len(images.codes)}")
    codes, labels = [np.asarray(level) for level in images.codes], np.asarray(images.labels)
    check_codes(codes, grids)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"expected integer labels of shape [batch], got {labels.dtype} {list(labels.shape)}"
        )
    sizes = [len(labels), *(len(level) for level in codes)]
    if len(set(sizes)) > 1:
        raise DataError(f"expected as many maps of every level as labels, got {sizes}")
    records = np.empty(len(labels), record_type(grids, num_attributes))
    records["label"] = labels
    for number, level in enumerate(codes):
        records[f"level{number}"] = level
    if num_attributes:
        shape = () if images.attributes is None else images.attributes.shape
        # NumPy would broadcast one attribute to all.
        if shape != (len(labels), num_attributes):
            raise DataError(
                f"expected attributes of shape {[len(labels), num_attributes]}, got {list(shape)}"
            )
        records["attributes"] = images.attributes
    return records


def unpack(records: np.ndarray) -> Coded:
    """Convert an array ``[b]`` of records to codes and labels of int32, and attributes."""
    names = records.dtype.names or ()
    levels = [records[name].astype(np.int32) for name in names if name.startswith("level")]
    attributes = records["attributes"].astype(np.float32) if "attributes" in names else None
    return Coded(levels, records["label"].astype(np.int32), attributes)


def check_codes(codes: Sequence[Int[np.ndarray, "b h w c"]], grids: Sequence[Grid]) -> None:
    """Raise a DataError unless every level's codes fit its grid."""
    for number, (level, grid) in enumerate(zip(codes, grids, strict=True)):
        try:
            grid.check(level)
        except InputError as error:
            raise DataError(f"codes of level {number} do not fit their grid: {error}") from error


def no_counts(grids: Sequence[Grid]) -> list[Int64[np.ndarray, "c v"]]:
    """Arrays of zeros in which to count the codes of each level."""
    return [np.zeros((grid.channels, grid.levels), np.int64) for grid in grids]


def add_counts(counts: Sequence[Int64[np.ndarray, "c v"]], records: np.ndarray) -> None:
    """Add to ``counts`` how often each code occurs in an array of records."""
    for level, total in zip(unpack(records).codes, counts, strict=True):
        for channel, uses in enumerate(total):
            uses += np.bincount(level[..., channel].ravel(), minlength=len(uses))

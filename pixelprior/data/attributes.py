"""Attributes of images: one vector of real numbers for each image, with a name for each number.

Legend: n images, k attributes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from pixelprior.data.errors import DataError
from pixelprior.data.words import listed
from pixelprior.progress import Caution, Report

LARGE = 10.0
"""Attributes beyond this size are most likely in units that train badly."""


class Attributes(NamedTuple):
    """Attributes of some images.

    Attributes:
        names: the name of each attribute.
        values: the attributes of each image.
    """

    names: tuple[str, ...]
    values: Float32[np.ndarray, "n k"]

    @property
    def contents(self) -> str:
        """Hash of names and values."""
        digest = hashlib.sha256("\0".join(self.names).encode())
        digest.update(np.ascontiguousarray(self.values).data)
        return digest.hexdigest()[:12]


def as_attributes(values: Any, names: Sequence[str] | None, count: int) -> Attributes:
    """Check attributes from a user.

    Args:
        values: numbers ``[n, k]``; or a mapping from the name of each attribute to numbers ``[n]``.
        names: the names of the attributes; None for those of the mapping, or for their numbers.
        count: the number of images, n.

    Raises:
        DataError: if there is not one row of finite numbers for each image, or names do not fit.
    """
    if isinstance(values, Mapping):
        names = tuple(values)
        columns = [np.asarray(column) for column in values.values()]
        if not columns or any(column.shape != (count,) for column in columns):
            raise DataError(
                f"each attribute must be {count} numbers, one for each image, got shapes "
                f"{[list(column.shape) for column in columns]}"
            )
        values = np.stack(columns, axis=1)
    array = np.asarray(values)
    if array.ndim != 2 or len(array) != count or not array.shape[1]:
        advice = "; attributes[:, None] makes one column" if array.ndim == 1 else ""
        raise DataError(
            f"attributes must be numbers [{count}, k], one row for each image, got shape "
            f"{list(array.shape)}{advice}"
        )
    if array.dtype.kind not in "bifu":
        raise DataError(
            f"attributes must be real numbers, got {array.dtype}; write text and categories as "
            "numbers, for example one column of 0 and 1 for each value"
        )
    checked = check_names(map(str, range(array.shape[1])) if names is None else names)
    if len(checked) != array.shape[1]:
        raise DataError(f"expected {array.shape[1]} names of attributes, got {len(checked)}")
    with np.errstate(over="ignore"):
        floats = array.astype(np.float32)
    wrong = np.argwhere(~np.isfinite(floats))
    if len(wrong):
        image, attribute = map(int, wrong[0])
        raise DataError(
            f"attribute {checked[attribute]!r} of image {image} is {array[image, attribute]}, "
            "which is no finite number; give a number, or leave the image out"
        )
    return Attributes(checked, floats)


def check_names(names: Any) -> tuple[str, ...]:
    """Return the names of attributes as a tuple.

    Raises:
        DataError: if a name is empty, occurs twice, or has a character that separates names.
    """
    checked = tuple(map(str, names))
    wrong = [name for name in checked if not name.strip() or set(name) & set(",=\n\r\0")]
    if wrong:
        raise DataError(
            f"names of attributes must be words without ',' and '=', got {listed(wrong)!r}"
        )
    twice = sorted({name for name in checked if checked.count(name) > 1})
    if twice:
        raise DataError(f"two attributes have the name {listed(twice)}; rename one of them")
    return checked


def warn_of_large(attributes: Attributes, report: Report) -> None:
    """Report attributes whose numbers are so large that training would suffer."""
    largest = np.abs(attributes.values).max(axis=0, initial=0.0)
    found = [
        f"{name} (up to {size:g})"
        for name, size in zip(attributes.names, largest, strict=True)
        if size > LARGE
    ]
    if found:
        report(
            Caution(
                f"attributes train best with numbers of about 1; standardise {listed(found, 5)}, "
                "as (x - mean) / deviation"
            )
        )

"""Data sets of arrays in memory.

Legend: n images, h height, w width, c channels.
"""

import hashlib

import numpy as np
from jaxtyping import Float32, Int, Int32, UInt8

from pixelprior.data.attributes import Attributes
from pixelprior.data.dataset import Dataset, make_splits
from pixelprior.data.errors import DataError
from pixelprior.data.source import Example
from pixelprior.data.splits import permuted_splits

TEST_FRACTION = 0.2
MOST_CLASSES = 10_000  # unless there are more images
PREFIX = "arrays:"  # start of the name of a data set in memory


class _Arrays:
    """A source of images in memory."""

    def __init__(
        self,
        images: UInt8[np.ndarray, "n h w c"],
        labels: Int[np.ndarray, " n"],
        attributes: Float32[np.ndarray, "n k"] | None,
    ):
        self._images = images
        self._labels = labels
        self._attributes = attributes

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Example:
        example: Example = {"image": self._images[index], "label": int(self._labels[index])}
        if self._attributes is None:
            return example
        return {**example, "attributes": self._attributes[index]}


def open_arrays(
    images: UInt8[np.ndarray, "n h w c"],
    labels: Int[np.ndarray, " n"] | None = None,
    *,
    attributes: Attributes | None = None,
    native_levels: int = 256,
    validation_fraction: float = 0.1,
    class_names: tuple[str, ...] = (),
    name: str | None = None,
    note: str = "",
    contents: str = "",
) -> Dataset:
    """Make a data set of arrays. A fixed permutation holds out a fifth of the images for testing.

    Args:
        images: pixels in ``[0, native_levels)``.
        labels: the class of each image, from 0; None for no classes.
        attributes: the attributes of the images; None for none.
        native_levels: the number of values that a pixel can take.
        validation_fraction: the part of the remaining images that becomes the validation split.
        class_names: the name of each class; by default its number.
        name: the name of the data set; by default a hash of the arrays.
        note: a remark that is printed with every result.
        contents: see `Dataset`.

    Raises:
        DataError: if there are fewer than three images.
    """
    if labels is not None and not class_names:
        class_names = tuple(str(number) for number in range(int(labels.max(initial=0)) + 1))
    chosen = permuted_splits(
        len(images), test_fraction=TEST_FRACTION, validation_fraction=validation_fraction
    )
    known = np.zeros(len(images), np.int32) if labels is None else labels
    sources = {
        split: (
            _Arrays(images[indices], known[indices], attributes and attributes.values[indices]),
            description,
        )
        for split, (indices, description) in chosen.items()
    }
    names = () if attributes is None else attributes.names
    _, height, width, channels = images.shape
    return Dataset(
        name=name or f"{PREFIX}{hash_arrays(images, known)}",
        splits=make_splits(
            sources, (height, width, channels), native_levels, num_attributes=len(names)
        ),
        class_names=class_names,
        note=note,
        contents=contents,
        attribute_names=names,
        attribute_contents="" if attributes is None else attributes.contents,
    )


def as_images(images: object, labels: object, levels: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Check arrays from a caller, and convert them to the shapes and types of a data set.

    Args:
        images: integers ``[n, h, w, c]``, or ``[n, h, w]`` for one channel: symbols in
            ``[0, levels)``, or 8-bit pixels of type uint8.
        labels: integers ``[n]`` from 0, or None.
        levels: the number of values of a symbol.

    Returns:
        uint8 images ``[n, h, w, c]``, and int32 labels.

    Raises:
        DataError: if the arrays are not of this form.
    """
    if isinstance(images, list | tuple) or not hasattr(images, "dtype"):
        raise DataError(
            f"images must be one array [n, height, width, channels], got {type(images).__name__}; "
            "use np.stack"
        )
    given = array = np.asarray(images)
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim != 4 or not len(array):
        raise DataError(
            "images must be an array [n, height, width, channels], with at least 3 images, "
            f"got shape {list(given.shape)}"
        )
    if not np.issubdtype(array.dtype, np.integer):
        raise DataError(
            f"images must be uint8 pixels or integer symbols, got {array.dtype}; for floats in "
            "[0, 1] give (255 * images).round().astype(np.uint8)"
        )
    low, high = int(array.min()), int(array.max())
    most = 255 if array.dtype == np.uint8 else levels - 1
    if low < 0 or high > min(most, 255):
        raise DataError(
            f"images must be uint8 pixels, or symbols in [0, {levels}), got values from {low} to "
            f"{high} of type {array.dtype}"
        )
    return array.astype(np.uint8), as_labels(labels, len(array))


def as_labels(labels: object, count: int) -> Int32[np.ndarray, " n"] | None:
    """Check labels from a caller: integers from 0, one for each of ``count`` images, or None.

    Raises:
        DataError: if they are not of this form.
    """
    if labels is None:
        return None
    numbers = np.asarray(labels)
    if numbers.shape != (count,) or not np.issubdtype(numbers.dtype, np.integer):
        raise DataError(
            f"labels must be {count} integers, one for each image, got {numbers.dtype} of shape "
            f"{list(numbers.shape)}; np.unique(labels, return_inverse=True)[1] numbers names, and "
            "labels.argmax(axis=1) one-hot rows"
        )
    low, high = (int(numbers.min()), int(numbers.max())) if count else (0, 0)
    if low < 0:
        raise DataError(f"labels must count from 0, got {low}")
    if high >= max(count, MOST_CLASSES):
        raise DataError(
            f"labels must be numbers of classes from 0, got {high:,} for {count:,} images; "
            "np.unique(labels, return_inverse=True)[1] numbers the classes"
        )
    return numbers.astype(np.int32)


def hash_arrays(images: np.ndarray, labels: np.ndarray) -> str:
    """Hash the content of a data set in memory."""
    digest = hashlib.sha256(f"{images.shape}".encode())
    digest.update(np.ascontiguousarray(images).data)
    digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()[:12]

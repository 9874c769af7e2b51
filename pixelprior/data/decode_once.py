"""Images decoded once, then read from memory, a whole batch at a time.

Legend: b batch, h height, w width, c channels, k attributes.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int, Int32, UInt8

from pixelprior.data.errors import DataError
from pixelprior.data.source import Example, Source

KEPT_BYTES = 2 * 1024**3
"""Largest number of bytes of pixels that a split keeps in memory: 2 GiB."""


class DecodeOnce:
    """A source that reads batches and keeps the images that it has decoded.

    Start-up costs nothing, because the operating system hands out the memory as it is filled. From
    the second epoch on, an image costs one copy. If the source is larger than ``kept_bytes``, only
    its first images are kept, and the others are decoded every time.

    Many threads may read at once. The flag of an image is set after its pixels are written, and two
    threads that decode the same image write the same bytes.

    Args:
        source: the images to decode.
        shape: ``(h, w, c)`` of every image.
        kept_bytes: the number of bytes of pixels to keep.
        num_attributes: the number of attributes of every image, k. They are all kept.
    """

    def __init__(
        self,
        source: Source,
        shape: tuple[int, int, int],
        kept_bytes: int = KEPT_BYTES,
        num_attributes: int = 0,
    ):
        self.shape = shape
        self.num_attributes = num_attributes
        self._source = source
        self._capacity = min(len(source), kept_bytes // int(np.prod(shape)))
        self._images = np.empty((self._capacity, *shape), np.uint8)
        self._labels = np.empty(self._capacity, np.int32)
        self._filled = np.zeros(len(source), bool)
        self._attributes = np.empty((len(source), num_attributes), np.float32)
        self._attributes_filled = np.zeros(len(source), bool)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Example:
        """The image, label and attributes at ``index``, as in any `Source`."""
        indices = [range(len(self))[index]]
        images, labels = self.read(indices)
        example: Example = {"image": images[0], "label": int(labels[0])}
        if not self.num_attributes:
            return example
        return {**example, "attributes": self.attributes(indices)[0]}

    def read(
        self, indices: Sequence[int] | Int[np.ndarray, " b"]
    ) -> tuple[UInt8[np.ndarray, "b h w c"], Int32[np.ndarray, " b"]]:
        """Images and labels at ``indices``, each in ``[0, len(self))``, as new arrays.

        Raises:
            DataError: if an image cannot be decoded, or has another shape than ``shape``.
        """
        indices = np.asarray(indices, np.int64)
        kept = self._filled[indices]
        if kept.all():
            return self._images[indices], self._labels[indices]
        images = np.empty((len(indices), *self.shape), np.uint8)
        labels = np.empty(len(indices), np.int32)
        images[kept] = self._images[indices[kept]]
        labels[kept] = self._labels[indices[kept]]
        for place in np.flatnonzero(~kept):
            images[place], labels[place] = self._decode(int(indices[place]))
        return images, labels

    def attributes(
        self, indices: Sequence[int] | Int[np.ndarray, " b"]
    ) -> Float32[np.ndarray, "b k"]:
        """Attributes of the images at ``indices``. Images that were read are not decoded again.

        Raises:
            DataError: if an image cannot be decoded, or an attribute is not finite.
        """
        indices = np.asarray(indices, np.int64)
        for index in indices[~self._attributes_filled[indices]]:
            self._decode(int(index))
        return self._attributes[indices]

    def _decode(self, index: int) -> tuple[UInt8[np.ndarray, "h w c"], int]:
        example = self._source[index]
        image, label = example["image"], example["label"]
        # NumPy would silently broadcast a grey image to three channels.
        if image.shape != self.shape:
            raise DataError(f"image {index} has shape {image.shape}, expected {self.shape}")
        if self.num_attributes:
            attributes = example["attributes"]
            if not np.isfinite(attributes).all():
                raise DataError(
                    f"image {index} has an attribute that is no finite number; give a number, or "
                    "leave the image out"
                )
            self._attributes[index] = attributes
            self._attributes_filled[index] = True
        if index < self._capacity:
            self._images[index] = image
            self._labels[index] = label
            self._filled[index] = True
        return image, label

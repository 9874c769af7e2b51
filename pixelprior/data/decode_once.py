"""Images decoded once, then read from memory, a whole batch at a time.

Legend: b batch, h height, w width, c channels.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Int32, UInt8

from pixelprior.data.errors import DataError
from pixelprior.data.source import Example, Source

KEPT_BYTES = 2 * 1024**3
"""How much of a split is kept in memory: at most 2 GiB of pixels."""


class DecodeOnce:
    """A source that keeps what it has decoded, and reads batches.

    Start-up costs nothing (the operating system hands out the memory as it is filled) and from the
    second epoch on an image costs one copy. The first images of a source that is larger than
    ``kept_bytes`` are kept, the others decoded every time.

    It may be read from many threads: a flag is set after the pixels it vouches for, and two threads
    that decode the same image write the same bytes.

    Args:
        source: the images to decode.
        shape: ``(h, w, c)`` of every one of them.
        kept_bytes: how many bytes of pixels to keep.
    """

    def __init__(self, source: Source, shape: tuple[int, int, int], kept_bytes: int = KEPT_BYTES):
        self.shape = shape
        self._source = source
        self._capacity = min(len(source), kept_bytes // int(np.prod(shape)))
        self._images = np.empty((self._capacity, *shape), np.uint8)
        self._labels = np.empty(self._capacity, np.int32)
        self._filled = np.zeros(len(source), bool)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Example:
        """The image and label at ``index``, as any source gives them."""
        images, labels = self.read([range(len(self))[index]])
        return {"image": images[0], "label": int(labels[0])}

    def read(
        self, indices: Sequence[int] | Int[np.ndarray, " b"]
    ) -> tuple[UInt8[np.ndarray, "b h w c"], Int32[np.ndarray, " b"]]:
        """Images and labels at ``indices``, each in ``[0, len(self))``, as fresh arrays.

        Raises:
            DataError: if an image cannot be decoded, or is not of the shape promised.
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

    def _decode(self, index: int) -> tuple[UInt8[np.ndarray, "h w c"], int]:
        example = self._source[index]
        image, label = example["image"], example["label"]
        # numpy would broadcast a grey image into three channels without a word.
        if image.shape != self.shape:
            raise DataError(f"image {index} has shape {image.shape}, expected {self.shape}")
        if index < self._capacity:
            self._images[index] = image
            self._labels[index] = label
            self._filled[index] = True
        return image, label

"""Images of files on disk. Each file is decoded when it is read."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from pixelprior.data.pictures.colours import as_channels
from pixelprior.data.pictures.pixel_range import PixelRange
from pixelprior.data.pictures.read import read_picture
from pixelprior.data.source import Example


class ImageFiles:
    """A source of image files.

    Args:
        files: the path and the label of each image.
        attributes: the attributes of each image; None for none.
        channels: 1 or 3. Grey images become colour images of equal channels, and colour images
            become grey by the luma of ITU-R 601.
        values: the range of the stored pixels.
    """

    def __init__(
        self,
        files: Sequence[tuple[str, int]],
        channels: int,
        values: PixelRange,
        attributes: Float32[np.ndarray, "n k"] | None = None,
    ):
        self._files = files
        self._attributes = attributes
        self._channels = channels
        self._values = values

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Example:
        path, label = self._files[index]
        pixels = self._values.to_eight_bits(read_picture(Path(path)).pixels)
        example: Example = {"image": as_channels(pixels, self._channels), "label": label}
        return (
            example
            if self._attributes is None
            else {**example, "attributes": self._attributes[index]}
        )

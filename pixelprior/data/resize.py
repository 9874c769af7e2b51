"""Resizing and cropping images to one size."""

import numpy as np
from jaxtyping import UInt8

from pixelprior.data.source import Example, Source


def cover_and_crop(
    image: UInt8[np.ndarray, "H W c"], height: int, width: int
) -> UInt8[np.ndarray, "h w c"]:
    """Scale an image until it covers ``height x width``, then crop its centre.

    The aspect ratio stays the same. The Lanczos filter is widened when shrinking, so that fine
    detail does not alias. Scaling and cropping are one step: the largest centred box of the target
    aspect ratio is resized, so no size is rounded in between. An image that has the size already is
    returned unchanged.

    Args:
        image: one grey (c = 1) or colour (c = 3) image.
        height: the target height in pixels.
        width: the target width in pixels.
    """
    from PIL import Image

    old_height, old_width, channels = image.shape
    if (old_height, old_width) == (height, width):
        return image
    shrink = min(old_height / height, old_width / width)
    box_height, box_width = height * shrink, width * shrink
    top, left = (old_height - box_height) / 2, (old_width - box_width) / 2
    # Rounding can put the box slightly outside the image, which Pillow refuses. Clip its bounds.
    box = (
        max(left, 0.0),
        max(top, 0.0),
        min(left + box_width, old_width),
        min(top + box_height, old_height),
    )
    picture = Image.fromarray(image[..., 0] if channels == 1 else image)
    resized = picture.resize((width, height), Image.Resampling.LANCZOS, box=box)
    return np.asarray(resized).reshape(height, width, channels)


class Resized:
    """A source that brings all images to one size with `cover_and_crop`."""

    def __init__(self, source: Source, height: int, width: int):
        self._source = source
        self._height = height
        self._width = width

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Example:
        example = self._source[index]
        image = cover_and_crop(example["image"], self._height, self._width)
        return {**example, "image": image}

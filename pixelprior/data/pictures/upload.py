"""Uploaded images: their size is checked before decoding, and only a few formats are accepted."""

import io

import numpy as np
from jaxtyping import UInt8

from pixelprior.data.errors import DataError
from pixelprior.data.pictures.colours import as_channels
from pixelprior.data.pictures.pixel_range import find_range
from pixelprior.data.pictures.read import read_picture
from pixelprior.data.resize import cover_and_crop

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_BYTES = 5 * 2**20
MAX_SIDE = 4096
"""Longest side in pixels. A file of a few bytes can declare a size larger than the memory."""


def decode_upload(
    data: bytes, shape: tuple[int, int, int], *, invert: bool = False
) -> UInt8[np.ndarray, "h w c"]:
    """Decode an image, scaled and cropped to a shape, in 256 shades.

    The image is decoded by `read_picture`, and its range of values is found, as for a folder.

    Args:
        data: the bytes of a PNG, JPEG or WebP file.
        shape: the target height, width and number of channels, 1 or 3.
        invert: swap light and dark. Models of light strokes on dark need this for pen on paper.

    Raises:
        DataError: if the file is too large, damaged, or of another format.
    """
    height, width, channels = shape
    if len(data) > MAX_BYTES:
        raise DataError(f"expected at most {MAX_BYTES // 2**20} MB, got {len(data) / 2**20:.1f} MB")
    picture = read_picture(io.BytesIO(data), formats=FORMATS, max_side=MAX_SIDE)
    pixels = find_range([picture.stored]).to_eight_bits(picture.pixels)
    image = cover_and_crop(as_channels(pixels, channels), height, width)
    return 255 - image if invert else image

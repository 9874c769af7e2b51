"""An image from a stranger: bounded before it is decoded, and of a few kinds alone."""

import io

import numpy as np
from jaxtyping import UInt8

from pixelprior.data.errors import DataError
from pixelprior.data.resize import cover_and_crop

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_BYTES = 5 * 2**20
MAX_SIDE = 4096
"""Pixels; a file of a few bytes can say that it is larger than the memory."""


def decode_upload(
    data: bytes, shape: tuple[int, int, int], *, invert: bool = False
) -> UInt8[np.ndarray, "h w c"]:
    """The image in a file's bytes, scaled and cropped to a shape, in 256 shades.

    What is transparent is white, as browsers show it.

    Args:
        data: of a PNG, JPEG or WebP file.
        shape: the wanted height, width and channels, 1 or 3.
        invert: light becomes dark, as pen on paper must for a model of light strokes on dark.

    Raises:
        DataError: if it is too large, not such a file, damaged, or of more than 8 bits a channel.
    """
    from PIL import Image

    height, width, channels = shape
    if len(data) > MAX_BYTES:
        raise DataError(f"expected at most {MAX_BYTES // 2**20} MB, got {len(data) / 2**20:.1f} MB")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            if max(picture.size) > MAX_SIDE:
                raise DataError(
                    f"expected at most {MAX_SIDE} pixels a side, got "
                    f"{picture.width} x {picture.height}; make it smaller"
                )
            if picture.mode.startswith(("I", "F")):
                raise DataError(
                    f"expected 8 bits a channel, got more (mode {picture.mode}); convert it to 8"
                )
            colours = picture.convert("RGBA")
    except DataError:
        raise
    except Exception as error:  # Pillow's readers raise many kinds on broken files
        raise DataError(
            f"this cannot be read as an image; expected a {', '.join(FORMATS)} file"
        ) from error
    white = Image.new("RGBA", colours.size, "white")
    flat = Image.alpha_composite(white, colours).convert("L" if channels == 1 else "RGB")
    image = np.asarray(flat).reshape(flat.height, flat.width, channels)
    image = cover_and_crop(image, height, width)
    return 255 - image if invert else image

"""Uploaded images: their size is checked before decoding, and only a few formats are accepted."""

import io

import numpy as np
from jaxtyping import UInt8

from pixelprior.data.errors import DataError
from pixelprior.data.resize import cover_and_crop

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_BYTES = 5 * 2**20
MAX_SIDE = 4096
"""Longest side in pixels. A file of a few bytes can declare a size larger than the memory."""


def decode_upload(
    data: bytes, shape: tuple[int, int, int], *, invert: bool = False
) -> UInt8[np.ndarray, "h w c"]:
    """Decode an image, scaled and cropped to a shape, in 256 shades.

    Transparent pixels become white, as in browsers.

    Args:
        data: the bytes of a PNG, JPEG or WebP file.
        shape: the target height, width and number of channels, 1 or 3.
        invert: swap light and dark. Models of light strokes on dark need this for pen on paper.

    Raises:
        DataError: if the file is too large, damaged, of another format, or has more than 8 bits per
            channel.
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
    except Exception as error:  # Pillow raises many kinds of errors for broken files
        raise DataError(
            f"this cannot be read as an image; expected a {', '.join(FORMATS)} file"
        ) from error
    white = Image.new("RGBA", colours.size, "white")
    flat = Image.alpha_composite(white, colours).convert("L" if channels == 1 else "RGB")
    image = np.asarray(flat).reshape(flat.height, flat.width, channels)
    image = cover_and_crop(image, height, width)
    return 255 - image if invert else image

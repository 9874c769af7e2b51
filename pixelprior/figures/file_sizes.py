"""Sizes of images in common lossless formats, for comparison with compressed ones.

Legend: h height, w width, c channels.
"""

import io

import numpy as np
from jaxtyping import Int
from PIL import Image

from pixelprior.figures.sheets import as_shades, picture

_DEPTHS = (2, 4)
"""Bits per pixel of grey PNG files with few shades. Two shades have a type of their own."""


def png_bytes_of(symbols: Int[np.ndarray, "h w c"], levels: int) -> int:
    """Bytes of an optimised PNG file. A grey image has as few bits per pixel as it needs."""
    file = io.BytesIO()
    depth = next((bits for bits in _DEPTHS if levels <= 1 << bits), None)
    if levels == 2 and symbols.shape[-1] == 1:
        Image.fromarray(symbols[..., 0] == 1).save(file, format="PNG", optimize=True)
    elif depth is None or symbols.shape[-1] != 1:
        _image(symbols, levels).save(file, format="PNG", optimize=True)
    else:
        shades = np.asarray(as_shades(np.arange(levels, dtype=np.float32) / (levels - 1)))
        image = Image.fromarray(symbols[..., 0].astype(np.uint8))
        image.putpalette(shades.astype(np.uint8).repeat(3).tolist())
        image.save(file, format="PNG", optimize=True, bits=depth)
    return len(file.getvalue())


def webp_bytes_of(symbols: Int[np.ndarray, "h w c"], levels: int) -> int:
    """Bytes of a lossless WebP file with the slowest and strongest setting."""
    file = io.BytesIO()
    image = _image(symbols, levels).convert("RGB")
    image.save(file, format="WEBP", lossless=True, quality=100, method=6)
    return len(file.getvalue())


def _image(symbols: Int[np.ndarray, "h w c"], levels: int) -> Image.Image:
    pixels = symbols.astype(np.float32) / np.float32(levels - 1)
    return picture(np.asarray(as_shades(pixels)).astype(np.uint8))

"""Transparent images: they are composited on white, as in browsers.

Legend: h height, w width.
"""

import numpy as np
from jaxtyping import UInt8


def on_white(image: UInt8[np.ndarray, "*n h w 4"]) -> UInt8[np.ndarray, "*n h w 3"]:
    """Composite colour images with an alpha channel on white. Results are rounded."""
    alpha = image[..., 3:].astype(np.uint16)
    return ((image[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)

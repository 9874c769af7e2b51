"""Pixels of 8 bits as symbols, without any loss.

Legend: n images, h height, w width, c channels.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Int, Shaped, UInt8

from pixelprior.data import Symbols, to_pixels
from pixelprior.data.pictures.read import read_picture
from pixelprior.errors import InputError
from pixelprior.figures.sheets import as_shades
from pixelprior.grid import Grid


def read_exactly(path: str, grid: Grid) -> UInt8[np.ndarray, "1 h w c"]:
    """Read an image file whose pixels fit a grid as they are.

    A grey file fits a grid of three channels.

    Raises:
        InputError: if it cannot be read, or has another size, depth or number of channels.
    """
    picture = read_picture(Path(path))
    if picture.stored_bits != 8:
        raise InputError(f"{path} has {picture.stored_bits} bits per channel; convert it to 8 bits")
    if picture.frames > 1:
        raise InputError(f"{path} has {picture.frames} frames; save each as a file of its own")
    return with_channels(picture.pixels[None], grid, path)


def with_channels(
    pixels: Shaped[np.ndarray, "n h w _"], grid: Grid, name: str
) -> UInt8[np.ndarray, "n h w c"]:
    """Check the type and the size of images, and give grey ones the channels of a grid.

    Raises:
        InputError: if they do not fit the grid.
    """
    if pixels.dtype != np.uint8:
        raise InputError(f"{name} has pixels of type {pixels.dtype}; convert them to uint8")
    _, height, width, channels = pixels.shape
    if (height, width) != (grid.height, grid.width):
        raise InputError(
            f"{name} has {height} x {width} pixels, and the model {grid.height} x {grid.width}; "
            "resize the images first, or use a model of their size"
        )
    if channels == 1 and grid.channels == 3:
        return pixels.repeat(3, axis=-1)
    if channels != grid.channels:
        kinds = {1: "grey images", 3: "images in colour"}
        raise InputError(
            f"{name} has {channels} channels, and the model is of "
            f"{kinds.get(grid.channels, f'{grid.channels} channels')}; convert the images first, "
            "or use another model"
        )
    return pixels


def to_symbols(
    pixels: UInt8[np.ndarray, "n h w c"], grid: Grid, name: str, *, quantise: bool
) -> Int[np.ndarray, "n h w c"]:
    """Turn pixels into symbols from which they can be restored.

    Args:
        pixels: the images.
        grid: the grid of the model.
        name: the name of the images in messages.
        quantise: round pixels to the shades of the model. Otherwise other pixels are refused.

    Raises:
        InputError: if pixels are between the shades of the model.
    """
    symbols = Symbols(grid.levels, "none").to_symbols(
        pixels, 256, split="", indices=range(len(pixels))
    )
    if not quantise and (to_shades(symbols, grid) != pixels).any():
        raise InputError(
            f"{name} has pixels between the {grid.levels} shades of the model; --quantise rounds "
            "them first, or use a model with 256 levels"
        )
    return symbols


def to_shades(symbols: Int[np.ndarray, "n h w c"], grid: Grid) -> UInt8[np.ndarray, "n h w c"]:
    """Turn symbols into pixels of 8 bits."""
    return as_shades(to_pixels(symbols, grid.levels)).astype(np.uint8)

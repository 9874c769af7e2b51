"""Symbols as pictures: many images on one sheet, one file for each image, or an animation.

Symbol s of v values has brightness ``s / (v - 1)``. Every file appears complete or not at all, so a
sheet can be viewed while a run rewrites it.

Legend: n images, h height, w width, c channels.
"""

import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array, Float, Int, UInt8
from PIL import Image, PngImagePlugin

from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.sizes import check_sizes
from pixelprior.system.atomic import replacing

SEPARATOR = 2  # width in pixels of the lines around and between images
SEPARATOR_BRIGHTNESS = 128
COMFORTABLE = 48  # pixels; smaller images are enlarged to at least this on a sheet

Symbols = Int[Array, "n h w c"] | Int[np.ndarray, "n h w c"]


def sheet(
    symbols: Symbols,
    levels: int,
    *,
    columns: int | None = None,
    scale: int | None = None,
    side: int = 0,
) -> Image.Image:
    """Put all images on one sheet, row by row, with thin grey lines between them.

    Notebooks display the result. For pixels in [0, 1] give ``as_shades(pixels), 256``.

    Args:
        symbols: ``[n, h, w, c]`` in ``[0, levels)``, with 1 channel (grey) or 3 (RGB).
        levels: the number of values per symbol.
        columns: the number of images in a row; by default the sheet is nearly square.
        scale: the width and height of a symbol, in pixels. By default, the shorter side of an image
            gets at least 48 pixels.
        side: the approximate length of the longer side of the sheet, in pixels. It enlarges a
            smaller sheet if no scale is given.

    Raises:
        InputError: if there is no image, if the channels cannot be shown, if a symbol is out of
            range, or if columns or scale is below 1.
    """
    pixels = _to_pixels(symbols, levels)
    n, h, w, c = pixels.shape
    if n == 0:
        raise InputError("expected at least one image to draw, got none")
    if columns is None:
        # Nearly square.
        columns = min(n, math.ceil(math.sqrt(n * h / w)))
    check_sizes(columns=columns)
    columns = min(n, columns)
    rows = math.ceil(n / columns)
    if scale is None:
        scale = max(math.ceil(COMFORTABLE / min(h, w)), side // max(columns * w, rows * h))
    check_sizes(scale=scale)

    pixels = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    tile_height, tile_width = h * scale + SEPARATOR, w * scale + SEPARATOR
    sheet_shape = (rows * tile_height + SEPARATOR, columns * tile_width + SEPARATOR, c)
    whole = np.full(sheet_shape, SEPARATOR_BRIGHTNESS, np.uint8)
    for index, image in enumerate(pixels):
        row, column = divmod(index, columns)
        top, left = row * tile_height + SEPARATOR, column * tile_width + SEPARATOR
        whole[top : top + h * scale, left : left + w * scale] = image
    return picture(whole)


def picture(shades: UInt8[np.ndarray, "h w c"]) -> Image.Image:
    """Convert one image in 256 shades, grey or RGB, to a Pillow image."""
    # Pillow needs grey images without a channel axis.
    return Image.fromarray(shades[..., 0] if shades.shape[-1] == 1 else shades)


def save_grid(
    symbols: Symbols,
    levels: int,
    path: str | os.PathLike[str],
    *,
    columns: int | None = None,
    scale: int | None = None,
) -> None:
    """Write a `sheet` to a PNG file; create its folder if missing. Raises the errors of `sheet`."""
    _save(sheet(symbols, levels, columns=columns, scale=scale), path, format="PNG")


def save_pixels(
    pixels: Float[np.ndarray, "n h w c"],
    path: str | os.PathLike[str],
    *,
    columns: int | None = None,
) -> None:
    """Write pixels in [0, 1] as `save_grid` writes symbols, in 256 shades."""
    save_grid(as_shades(pixels), 256, path, columns=columns)


def save_animation(
    frames: Sequence[Symbols], levels: int, path: str | os.PathLike[str], *, milliseconds: int
) -> None:
    """Write a GIF file that shows one sheet for every frame in turn.

    Args:
        frames: the symbols of each frame, as for `sheet`, all of one shape.
        levels: the number of values per symbol.
        path: the GIF file to write; its folder is created if missing.
        milliseconds: the duration of a frame; the last frame lasts twenty times as long.

    Raises:
        InputError: for the same reasons as in `sheet`.
    """
    first, *others = (sheet(symbols, levels) for symbols in frames)
    durations = [milliseconds] * len(others) + [20 * milliseconds]
    _save(
        first,
        path,
        format="GIF",
        save_all=True,
        append_images=others,
        duration=durations,
        loop=0,
    )


def png_bytes(
    pixels: Float[np.ndarray, "n h w c"],
    *,
    columns: int | None = None,
    side: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> bytes:
    """Return a `sheet` of pixels in [0, 1] as the bytes of a PNG file.

    Args:
        pixels: the images.
        columns: see `sheet`.
        side: see `sheet`.
        settings: settings to store in the file, as JSON in the text field "pixelprior".
    """
    texts = PngImagePlugin.PngInfo()
    if settings is not None:
        texts.add_itxt("pixelprior", json.dumps(settings))
    file = io.BytesIO()
    shown = sheet(as_shades(pixels), 256, columns=columns, side=side)
    shown.save(file, format="PNG", pnginfo=texts)
    return file.getvalue()


def above(
    originals: Float[np.ndarray, "n h w c"], reconstructions: Float[np.ndarray, "n h w c"]
) -> Float[np.ndarray, "n H w c"]:
    """Put each original above its reconstruction, with a grey line between them."""
    n, _, w, c = originals.shape
    line = np.full((n, 1, w, c), 0.5, np.float32)
    return np.concatenate([originals, line, reconstructions], axis=1)


def as_shades(pixels: Float[np.ndarray, "n h w c"]) -> Int[np.ndarray, "n h w c"]:
    """Convert pixels in [0, 1] to symbols of 256 values. Other pixels are clipped.

    Raises:
        InputError: if a pixel is NaN. Such a pixel has no colour.
    """
    if np.isnan(pixels).any():
        raise InputError("the images have pixels that are NaN; use another checkpoint of the run")
    return np.rint(np.clip(pixels, 0.0, 1.0) * 255).astype(np.int32)


def save_image(image: Int[np.ndarray, "h w c"], levels: int, path: str | os.PathLike[str]) -> None:
    """Write one image to a PNG file. Missing parent folders are created.

    Raises:
        InputError: if the channels cannot be shown, or a symbol is out of range.
    """
    _save(picture(_to_pixels(image[np.newaxis], levels)[0]), path, format="PNG")


def image_file(folder: str | os.PathLike[str], number: int) -> Path:
    """Path of a numbered image: ``000000.png``, ``000001.png`` and so on."""
    return Path(folder) / f"{number:06d}.png"


def _to_pixels(symbols: Symbols, levels: int) -> UInt8[np.ndarray, "n h w c"]:
    if symbols.ndim != 4:
        raise InputError(f"expected symbols of shape [n, h, w, c], got {symbols.shape}")
    _, height, width, channels = symbols.shape
    Grid(height, width, channels, levels).check(symbols)
    if channels not in (1, 3):
        raise InputError(
            f"expected 1 channel (grey) or 3 (RGB) to draw, got {channels}; "
            "draw the channels one by one, as symbols[..., i : i + 1]"
        )
    return np.rint(np.asarray(symbols) / (levels - 1) * 255).astype(np.uint8)


def _save(image: Image.Image, path: str | os.PathLike[str], **settings: Any) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        image.save(temporary, **settings)

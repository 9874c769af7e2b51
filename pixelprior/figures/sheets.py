"""Symbols as PNG files, many images on one sheet or one file for each; and as moving sheets.

Symbol s of v levels is drawn at brightness ``s / (v - 1)``. Every file appears whole or not at all,
so a sheet may be watched while a run rewrites it.

Legend: n images, h height, w width, c channels.
"""

import io
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array, Float, Int, UInt8
from PIL import Image, PngImagePlugin

from pixelprior.errors import InputError
from pixelprior.grid import Grid

SEPARATOR = 2  # pixels, around and between images
SEPARATOR_BRIGHTNESS = 128
COMFORTABLE = 48  # pixels; smaller images are enlarged to at least this on a sheet

Symbols = Int[Array, "n h w c"] | Int[np.ndarray, "n h w c"]


def save_grid(
    symbols: Symbols,
    levels: int,
    path: str | os.PathLike[str],
    *,
    columns: int | None = None,
    scale: int | None = None,
) -> None:
    """Draws all images on one sheet, row by row, with thin grey lines between them.

    Args:
        symbols: ``[n, h, w, c]`` in ``[0, levels)``, with 1 channel (grey) or 3 (RGB).
        levels: how many values a symbol can take.
        path: the PNG file to write; its folder is made if it is missing.
        columns: images in a row; by default what makes the sheet nearly square.
        scale: how many pixels wide and high to draw each symbol; by default just enough for the
            shorter side of an image to be 48 pixels.

    Raises:
        InputError: if there is no image, the channels cannot be drawn, a symbol is out of range,
            or columns or scale is below 1.
    """
    _write_png(_sheet(_to_pixels(symbols, levels), columns, scale), Path(path))


def save_animation(
    frames: Sequence[Symbols], levels: int, path: str | os.PathLike[str], *, milliseconds: int
) -> None:
    """Draws a sheet of the same images for every frame, and shows them in turn in a GIF file.

    Args:
        frames: for each of them symbols as for `save_grid`, all of one shape.
        levels: how many values a symbol can take.
        path: the GIF file to write; its folder is made if it is missing.
        milliseconds: how long a frame is shown; the last one twenty times as long.

    Raises:
        InputError: as `save_grid` does.
    """
    sheets = [_picture(_sheet(_to_pixels(symbols, levels), None, None)) for symbols in frames]
    durations = [milliseconds] * (len(sheets) - 1) + [20 * milliseconds]
    first, *others = sheets
    _write(
        Path(path),
        lambda file: first.save(
            file, format="GIF", save_all=True, append_images=others, duration=durations, loop=0
        ),
    )


def _sheet(
    pixels: UInt8[np.ndarray, "n h w c"], columns: int | None, scale: int | None
) -> UInt8[np.ndarray, "H W c"]:
    """All images in rows, enlarged, with lines between them; see `save_grid`."""
    n, h, w, c = pixels.shape
    if n == 0:
        raise InputError("expected at least one image to draw, got none")
    if columns is None:
        columns = _best_columns(n, h, w)
    if scale is None:
        scale = _comfortable_scale(h, w)
    if columns < 1 or scale < 1:
        raise InputError(f"expected columns and scale of at least 1, got {columns} and {scale}")

    rows = math.ceil(n / columns)
    pixels = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    tile_height, tile_width = h * scale + SEPARATOR, w * scale + SEPARATOR
    sheet_shape = (rows * tile_height + SEPARATOR, columns * tile_width + SEPARATOR, c)
    sheet = np.full(sheet_shape, SEPARATOR_BRIGHTNESS, np.uint8)
    for index, image in enumerate(pixels):
        row, column = divmod(index, columns)
        top, left = row * tile_height + SEPARATOR, column * tile_width + SEPARATOR
        sheet[top : top + h * scale, left : left + w * scale] = image
    return sheet


def _best_columns(n: int, h: int, w: int) -> int:
    """So many columns make a sheet of n images about square."""
    return min(n, math.ceil(math.sqrt(n * h / w)))


def _comfortable_scale(h: int, w: int) -> int:
    return math.ceil(COMFORTABLE / min(h, w))


def save_pixels(
    pixels: Float[np.ndarray, "n h w c"],
    path: str | os.PathLike[str],
    *,
    columns: int | None = None,
) -> None:
    """Draws pixels in [0, 1] as `save_grid` draws symbols, in 256 shades."""
    save_grid(as_shades(pixels), 256, path, columns=columns)


def png_bytes(
    pixels: Float[np.ndarray, "n h w c"],
    *,
    columns: int | None = None,
    side: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> bytes:
    """Draws pixels in [0, 1] as `save_pixels` does, but as the bytes of a PNG file.

    Args:
        pixels: the images.
        columns: how many make a row; as many as look best if it is left out.
        side: the sheet's longer side is enlarged to about so many pixels, if it is not as long.
        settings: what the picture was made by, kept in it as JSON, as the text "pixelprior".
    """
    n, h, w, _ = pixels.shape
    columns = columns or _best_columns(n, h, w)
    longer = max(columns * w, math.ceil(n / columns) * h)
    scale = max(_comfortable_scale(h, w), side // longer)
    sheet = _sheet(_to_pixels(as_shades(pixels), 256), columns, scale)
    texts = PngImagePlugin.PngInfo()
    if settings is not None:
        texts.add_itxt("pixelprior", json.dumps(settings))
    file = io.BytesIO()
    _picture(sheet).save(file, format="PNG", pnginfo=texts)
    return file.getvalue()


def above(
    originals: Float[np.ndarray, "n h w c"], reconstructions: Float[np.ndarray, "n h w c"]
) -> Float[np.ndarray, "n H w c"]:
    """Each original above its reconstruction, as one picture, with a grey line between them."""
    n, _, w, c = originals.shape
    line = np.full((n, 1, w, c), 0.5, np.float32)
    return np.concatenate([originals, line, reconstructions], axis=1)


def as_shades(pixels: Float[np.ndarray, "n h w c"]) -> Int[np.ndarray, "n h w c"]:
    """Pixels in [0, 1] as symbols of 256 levels; what lies outside is cut off."""
    return np.rint(np.clip(pixels, 0.0, 1.0) * 255).astype(np.int32)


def save_images(
    symbols: Symbols, levels: int, folder: str | os.PathLike[str], start: int = 0
) -> None:
    """Writes each image to a file of its own: ``000000.png``, ``000001.png`` and so on.

    Args:
        symbols: ``[n, h, w, c]`` in ``[0, levels)``, with 1 channel (grey) or 3 (RGB); one symbol
            becomes one pixel.
        levels: how many values a symbol can take.
        folder: where the files go; it is made if it is missing.
        start: the number of the first image, for images that come in batches.

    Raises:
        InputError: if the channels cannot be drawn, or a symbol is out of range.
    """
    for index, image in enumerate(_to_pixels(symbols, levels), start):
        _write_png(image, image_file(folder, index))


def image_file(folder: str | os.PathLike[str], number: int) -> Path:
    """Where `save_images` writes the image of a number."""
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


def _picture(pixels: UInt8[np.ndarray, "h w c"]) -> Image.Image:
    # Pillow wants grey images without a channel axis.
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _write_png(pixels: UInt8[np.ndarray, "h w c"], path: Path) -> None:
    _write(path, lambda file: _picture(pixels).save(file, format="PNG"))


def _write(path: Path, save: Callable[[Path], None]) -> None:
    """Writes a file so that it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        save(unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)

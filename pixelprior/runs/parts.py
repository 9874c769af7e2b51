"""Parts of images: the known part, and the part drawn so far. The rest is grey.

Known symbols condition only symbols that are later in the order of the model. In raster order,
these are the symbols to the right and below. A model continues a known top half as usual. With a
known left half, a row depends on the known pixels of its own and earlier rows, but not on those
below. An any-order model draws the known symbols first, so they condition all others.

A prior conditions on known codes: the codes at positions whose pixels are all known. The encoder
gets the image with its unknown part grey, so that no information about that part leaks.

Legend: f frames, n images, h height, w width, c channels; H, W, g: height, width and channels of a
grid of codes.
"""

from collections.abc import Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from pixelprior import jitted
from pixelprior.data import to_pixels
from pixelprior.data.pictures.pixel_range import find_range
from pixelprior.data.pictures.read import read_picture
from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.models.base import GridModel
from pixelprior.prior import Prior
from pixelprior.sampling.draw_grids import draw_order
from pixelprior.sampling.known import UNKNOWN
from pixelprior.tokenizers.vqvae import VQVAE

GREY = np.float32(0.5)

MAX_GREY = 0.1
"""Largest part of a mask that may be grey, since the edges of a drawing are often smoothed."""


def known_mask(known: str, height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """Mask of known pixels: the "top" half, the "left" half, or the white pixels of a picture.

    Pixels of 1 are white in a picture whose pixels are all 0 or 1.

    Raises:
        InputError: if the picture cannot be read, is not black and white, has another size, or
            leaves nothing to draw.
    """
    rows, columns = np.indices((height, width))
    if known == "top":
        return rows < height // 2
    if known == "left":
        return columns < width // 2
    if not Path(known).is_file():
        raise InputError(f"known must be top, left or a picture of a mask, got {known!r}")
    mask = _white_pixels(Path(known))
    if mask.shape != (height, width):
        raise InputError(
            f"expected a mask of {width}x{height} pixels, as the images have, got "
            f"{mask.shape[1]}x{mask.shape[0]} in {known}"
        )
    if mask.all():
        raise InputError(f"all of {known} is white, so nothing is left to draw")
    return mask


def _white_pixels(path: Path) -> Bool[np.ndarray, "h w"]:
    """Mask of the white pixels of a black and white picture."""
    needed = f"known must be a black and white picture of the known part; {path}"
    picture = read_picture(path)
    if picture.pixels.shape[-1] == 3:
        raise InputError(f"{needed} is in colour")
    pixels = find_range([picture.stored]).to_eight_bits(picture.pixels)
    grey = np.mean((pixels >= 64) & (pixels <= 191))
    if grey > MAX_GREY:
        raise InputError(f"{needed} is a photograph or a drawing, {grey:.0%} of it grey")
    return pixels[..., 0] >= 128


def grey_where_unknown(
    pixels: Float[np.ndarray, "n h w c"], mask: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, "n h w c"]:
    """Pixels in [0, 1], with unknown pixels grey."""
    return np.where(mask[..., None], pixels, GREY)


def known_symbols(
    symbols: Int[np.ndarray, "n h w c"], mask: Bool[np.ndarray, "h w"]
) -> Int[np.ndarray, "n h w c"]:
    """Symbols of known pixels, with `UNKNOWN` elsewhere."""
    return np.where(mask[..., None], symbols, UNKNOWN)


def known_codes(
    tokenizer: VQVAE, pixels: Float[np.ndarray, "n h w c"], mask: Bool[np.ndarray, "h w"]
) -> list[Int[Array, "n H W g"]]:
    """Codes of each level at positions whose pixels are all known, with `UNKNOWN` elsewhere."""
    codes = jitted.encode(tokenizer, grey_where_unknown(pixels, mask))
    return [
        jnp.where(_whole_places(mask, grid)[..., None], level, UNKNOWN)
        for grid, level in zip(tokenizer.code_grids, codes, strict=True)
    ]


def _whole_places(mask: Bool[np.ndarray, "h w"], grid: Grid) -> Bool[np.ndarray, "H W"]:
    """Mask of the positions of a coarser grid whose pixels are all known."""
    height, width = mask.shape
    rows, columns = height // grid.height, width // grid.width
    return np.asarray(mask.reshape(grid.height, rows, grid.width, columns).all(axis=(1, 3)))


def pixels_so_far(symbols: Int[np.ndarray, "n h w c"], levels: int) -> Float[np.ndarray, "n h w c"]:
    """Pixels in [0, 1] of symbols, with `UNKNOWN` symbols grey."""
    return np.where(symbols == UNKNOWN, GREY, to_pixels(symbols, levels))


def codes_so_far(
    tokenizer: VQVAE, codes: Sequence[Int[Array, "n H W g"]]
) -> Float[np.ndarray, "n h w c"]:
    """Decoded pixels in [0, 1], with the zero vector for `UNKNOWN` codes."""
    return np.asarray(jitted.call(_decode_known, tokenizer, codes))


def _decode_known(
    tokenizer: VQVAE, codes: Sequence[Int[Array, "n H W g"]]
) -> Float[Array, "n h w c"]:
    vectors = tokenizer.lookup([jnp.maximum(level, 0) for level in codes])
    return tokenizer.decode_vectors(
        [
            # All codebooks of a position are drawn in turn, so all or none are known.
            jnp.where((level != UNKNOWN).all(axis=-1, keepdims=True), vector, 0.0)
            for level, vector in zip(codes, vectors, strict=True)
        ]
    )


def pixels_filling_up(
    model: GridModel, symbols: Int[np.ndarray, "n h w c"], num_frames: int
) -> list[Float[np.ndarray, "n h w c"]]:
    """Frames with more and more pixels of each image, in the order of drawing."""
    order = draw_order(model)[..., None]
    return [
        pixels_so_far(np.where(order < count, symbols, UNKNOWN), model.grid.levels)
        for count in _counts(order.size, num_frames)
    ]


def codes_filling_up(
    prior: Prior,
    tokenizer: VQVAE,
    codes: Sequence[Int[Array, "n H W g"]],
    num_frames: int,
) -> list[Float[np.ndarray, "n h w c"]]:
    """Frames with more and more codes of each image, decoded, level by level."""
    orders, before = [], 0
    for model in prior.levels:
        order = draw_order(model)[..., None]
        orders.append(before + order)
        before += order.size
    return [
        codes_so_far(
            tokenizer,
            [
                jnp.where(order < count, level, UNKNOWN)
                for order, level in zip(orders, codes, strict=True)
            ],
        )
        for count in _counts(before, num_frames)
    ]


def _counts(total: int, num_frames: int) -> Int[np.ndarray, " f"]:
    """Number of symbols in each frame: none in the first frame, all in the last."""
    return np.rint(np.linspace(0, total, num_frames)).astype(int)

"""Pictures completed: what is known of real images stays, and a model draws the rest.

Known symbols are taken into account by what comes after them in the model's order alone: below and
to the right. So a known top half is continued just as the model would; of a known left half each
row sees what is known of the rows above and of its own, not of those below.

Of a prior it is codes that are known: those of places that lie in the known part as a whole, made
from the image with its unknown part grey, so that nothing of it leaks. What comes out is decoded.

Legend: n images, h height, w width, c channels.
"""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from PIL import Image

from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.sampling.known import UNKNOWN
from pixelprior.tokenizers.vqvae import VQVAE

GREY = 0.5


def known_mask(known: str, height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """Which pixels are known: the "top" half, the "left" one, or the white ones of a picture.

    Raises:
        InputError: if the picture cannot be read, is of another size, or leaves nothing to draw.
    """
    rows, columns = np.indices((height, width))
    if known == "top":
        return rows < height // 2
    if known == "left":
        return columns < width // 2
    if not Path(known).is_file():
        raise InputError(f"known must be top, left or a picture of a mask, got {known!r}")
    try:
        with Image.open(known) as picture:
            mask = np.asarray(picture.convert("L")) >= 128
    except (OSError, ValueError) as error:
        raise InputError(f"{known} cannot be read as a picture: {error}") from error
    if mask.shape != (height, width):
        raise InputError(
            f"expected a mask of {width}x{height} pixels, as the images have, got "
            f"{mask.shape[1]}x{mask.shape[0]} in {known}"
        )
    if mask.all():
        raise InputError(f"all of {known} is white, so nothing is left to draw")
    return mask


def known_symbols(
    symbols: Int[np.ndarray, "n h w c"], mask: Bool[np.ndarray, "h w"]
) -> Int[np.ndarray, "n h w c"]:
    """The symbols where the mask says that they are known, and `UNKNOWN` elsewhere."""
    return np.where(mask[..., None], symbols, UNKNOWN)


def known_codes(
    tokenizer: VQVAE, pixels: Float[np.ndarray, "n h w c"], mask: Bool[np.ndarray, "h w"]
) -> list[Int[Array, "n _ _ g"]]:
    """The codes of each level at the places that are known as a whole, and `UNKNOWN` elsewhere."""
    codes = tokenizer.get_code_indices(jnp.asarray(grey_where_unknown(pixels, mask)))
    return [
        jnp.where(_whole_places(mask, grid)[..., None], level, UNKNOWN)
        for grid, level in zip(tokenizer.code_grids, codes, strict=True)
    ]


def grey_where_unknown(
    pixels: Float[np.ndarray, "n h w c"], mask: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, "n h w c"]:
    """Pixels in [0, 1], those that are not known grey."""
    return np.where(mask[..., None], pixels, np.float32(GREY))


def _whole_places(mask: Bool[np.ndarray, "h w"], grid: Grid) -> Bool[np.ndarray, "H W"]:
    """The places of a coarser grid all of whose pixels are known."""
    height, width = mask.shape
    rows, columns = height // grid.height, width // grid.width
    return np.asarray(mask.reshape(grid.height, rows, grid.width, columns).all(axis=(1, 3)))

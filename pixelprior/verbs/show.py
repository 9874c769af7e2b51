"""Function that shows images in a notebook.

Legend: n images, h height, w width, c channels.
"""

from typing import Any

import numpy as np
from PIL import Image

from pixelprior.errors import InputError
from pixelprior.figures.sheets import as_shades, sheet
from pixelprior.models.base import GridModel
from pixelprior.sampling.known import UNKNOWN
from pixelprior.verbs.arguments import model_of, tokenizer_of
from pixelprior.verbs.codes import decode

GREY = 0.5


def show(
    x: Any, model: Any = None, *, tokenizer: Any = None, columns: int | None = None
) -> Image.Image:
    """Put images on one sheet, which notebooks display.

    Examples:
        >>> pp.show(pp.sample(model, jax.random.key(0), 16), model)

    Args:
        x: images ``[n, h, w, c]`` with 1 or 3 channels, or codes of a prior as a list of maps.
            Images are symbols of a pixel model, pixels in [0, 1] or uint8 pixels. `UNKNOWN`
            symbols are grey.
        model: the model or run of the symbols or codes; not needed for pixels.
        tokenizer: a tokenizer for the codes of a prior, if ``model`` is not its run.
        columns: the number of images in a row; by default the sheet is nearly square.

    Returns:
        A Pillow image. Save it with ``.save("samples.png")``.

    Raises:
        InputError: if the images cannot be shown, or an argument for showing them is missing.
    """
    if isinstance(x, list | tuple):
        if model is None and tokenizer is None:
            raise InputError(
                "codes need the run of their prior, or tokenizer=..., to be shown; images are one "
                "array [n, height, width, channels], not a list"
            )
        x = decode(tokenizer_of(model) if tokenizer is None else tokenizer, x)
    if not hasattr(x, "dtype") or np.ndim(x) != 4:
        shape = list(x.shape) if hasattr(x, "dtype") else type(x).__name__
        raise InputError(f"expected images [n, height, width, channels], got {shape}")
    array = np.asarray(x)
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            raise InputError("expected finite pixels in [0, 1], got infinite ones or NaN")
        return sheet(as_shades(array), 256, columns=columns)
    if not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"expected pixels in [0, 1] or integer symbols, got {array.dtype}")
    if model is None:
        if array.dtype != np.uint8:
            raise InputError(
                f"symbols of type {array.dtype} need their model to be shown: pp.show(x, model)"
            )
        return sheet(array.astype(np.int32), 256, columns=columns)
    owner = model_of(model)
    if not isinstance(owner, GridModel):
        raise InputError(
            "codes are shown as a list of maps; integer images need a pixel model, "
            f"got a {type(owner).__name__}"
        )
    levels = owner.grid.levels
    if (array == UNKNOWN).any():
        pixels = np.where(array == UNKNOWN, GREY, array / (levels - 1))
        return sheet(as_shades(pixels), 256, columns=columns)
    return sheet(array, levels, columns=columns)

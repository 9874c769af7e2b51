"""Functions that turn images into codes and back.

Legend: b batch, h height, w width, c channels, g codebooks.
"""

from typing import Any

from jaxtyping import Array, Float, Int

from pixelprior import jitted
from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.system.compilation_cache import keep_compiled_programs
from pixelprior.verbs.arguments import pixels_of, tokenizer_of


def encode(tokenizer: Any, images: Any) -> list[Int[Array, "b _ _ g"]]:
    """Turn images into codes.

    Examples:
        >>> codes = pp.encode(tokenizer, images)

    Args:
        tokenizer: a tokenizer, its run, or the run of a prior.
        images: pixels in [0, 1], or integer symbols in the grid of the tokenizer, ``[b, h, w, c]``.

    Returns:
        One int32 map of codes for each level, the coarsest first.

    Raises:
        InputError: if there is no tokenizer, or ``images`` is not an array of its shape with pixels
            in range.
    """
    keep_compiled_programs()
    model = tokenizer_of(tokenizer)
    return jitted.encode(model, pixels_of(model, images))


def decode(tokenizer: Any, codes: Any) -> Float[Array, "b h w c"]:
    """Turn codes into images.

    Examples:
        >>> images = pp.decode(tokenizer, codes)

    Args:
        tokenizer: a tokenizer, its run, or the run of a prior.
        codes: one map for each level, the coarsest first, as from `encode`.

    Returns:
        Pixels in [0, 1].

    Raises:
        InputError: if there is no tokenizer, or the codes do not fit its grids.
    """
    keep_compiled_programs()
    model = tokenizer_of(tokenizer)
    # Check the codes here, because their values are unknown inside the jitted function.
    Grid.check_maps(codes, model.code_grids)
    if not len(codes[0]):
        raise InputError("expected the codes of at least one image, got none")
    return jitted.decode(model, codes)


def reconstruct(tokenizer: Any, images: Any) -> Float[Array, "b h w c"]:
    """Reconstruct images: encode them, and decode their codes.

    Examples:
        >>> again = pp.reconstruct(tokenizer, images)

    Args:
        tokenizer: see `encode`.
        images: see `encode`.

    Returns:
        Pixels in [0, 1].

    Raises:
        InputError: if there is no tokenizer, or ``images`` is not an array of its shape with pixels
            in range.
    """
    keep_compiled_programs()
    model = tokenizer_of(tokenizer)
    return jitted.reconstruct(model, pixels_of(model, images))

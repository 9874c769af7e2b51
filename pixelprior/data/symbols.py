"""Conversion of pixels to the symbols that models predict, and back.

Legend: b batch, h height, w width, c channels.

Every random draw here is counter-based: it depends only on its purpose, and not on earlier draws.
Published results use different binarisations, and NLLs under different binarisations are not
comparable. `Symbols.describe` therefore gives a text that must be printed with every result.
"""

import dataclasses
import math
import zlib
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float32, Int, Int32, UInt8, UInt64

from pixelprior.data.errors import DataError

Binarisation = Literal["none", "threshold", "static", "dynamic"]


@dataclasses.dataclass(frozen=True)
class Symbols:
    """A conversion of pixels to symbols.

    Attributes:
        levels: the number of values per symbol, 2 to 256 and at most as many as per pixel.
        binarisation: the conversion to two values; all but "none" require ``levels == 2``.
            "none" quantises evenly: ``floor(pixel * levels / native_levels)``. For powers of two
            this drops the lowest bits. "threshold" gives 1 from half the brightest value on.
            "static" gives 1 with a probability equal to the brightness of the pixel. It draws once
            for each image. "dynamic" draws in the same way, but anew each time an image is trained
            on. Validation and test images keep one fixed draw, the same as under "static", so that
            results are reproducible.

    Raises:
        DataError: if ``levels`` or ``binarisation`` has another value.
    """

    levels: int
    binarisation: Binarisation

    def __post_init__(self) -> None:
        if not 2 <= self.levels <= 256:
            raise DataError(f"expected levels from 2 to 256, got {self.levels}")
        if self.binarisation not in get_args(Binarisation):
            raise DataError(
                f"expected binarisation to be one of {', '.join(get_args(Binarisation))}, "
                f"got {self.binarisation!r}"
            )
        if self.binarisation != "none" and self.levels != 2:
            raise DataError(
                f"binarisation {self.binarisation!r} gives 2 levels, but levels is {self.levels}; "
                "set levels to 2, or binarisation to 'none'"
            )

    def describe(self, split: str) -> str:
        """Text to print with every result on a split, like "256 levels (8 bits)"."""
        match self.binarisation:
            case "threshold":
                return "binarised at half intensity"
            case "dynamic" if split == "train":
                return "dynamically binarised"
            case "dynamic":
                return "dynamically binarised in training, one fixed draw here"
            case "static":
                return "statically binarised"
        bits = self.levels.bit_length() - 1
        if self.levels != 2**bits:
            return f"{self.levels} levels"
        return f"{self.levels} levels ({bits} bit{'s' if bits > 1 else ''})"

    def check(self, native_levels: int) -> None:
        """Raise a DataError unless pixels of ``native_levels`` values can become these symbols."""
        if self.levels > native_levels:
            raise DataError(
                f"expected at most the {native_levels} levels that the pixels have, "
                f"got levels={self.levels}; set levels to {native_levels} or fewer"
            )

    def to_symbols(
        self,
        pixels: UInt8[np.ndarray, "b h w c"],
        native_levels: int,
        *,
        split: str,
        indices: Sequence[int] | Int[np.ndarray, " b"],
        fresh: tuple[int, int] | None = None,
        places: Int[np.ndarray, " b"] | None = None,
    ) -> Int32[np.ndarray, "b h w c"]:
        """Convert a batch of images to symbols.

        Args:
            pixels: the images, values in ``[0, native_levels)``.
            native_levels: the number of values of a pixel.
            split: the name of the split of the images. A fixed draw depends on it.
            indices: the index of each image in its split. A fixed draw depends on it.
            fresh: ``(seed, step)`` of a training batch. A draw of "dynamic" depends on it and on
                the place in the batch. None gives a fixed draw, as validation and test need it.
            places: the place of each image in its training batch; None for 0, 1, and so on.

        Raises:
            DataError: if the pixels have fewer values than the symbols.
        """
        self.check(native_levels)
        brightest = native_levels - 1
        match self.binarisation:
            case "none":
                symbols = pixels.astype(np.int32)
                # With equal numbers of values, the most common case, no arithmetic is needed.
                return (
                    symbols
                    if self.levels == native_levels
                    else symbols * self.levels // native_levels
                )
            case "threshold":
                return (pixels.astype(np.int32) * 2 >= brightest).astype(np.int32)
            case "dynamic" if fresh is not None:
                places = np.arange(len(pixels)) if places is None else places
                noise = _fresh_noise(*fresh, places, pixels.shape[1:])
            case _:
                noise = _fixed_noise(split, indices, pixels.shape)
        # Bernoulli(pixel / brightest): the remainders 0, ..., brightest - 1 are equally likely to
        # one part in 2**56, and exactly `pixel` of them are below the pixel.
        return (noise % np.uint64(brightest) < pixels).astype(np.int32)


def to_pixels(symbols: Int[np.ndarray, "b h w c"], levels: int) -> Float32[np.ndarray, "b h w c"]:
    """Convert symbols to brightness: 0 is black, and ``levels - 1`` is 1.0, white."""
    return np.asarray(symbols, np.float32) / np.float32(levels - 1)


def _fixed_noise(
    split: str, indices: Sequence[int] | Int[np.ndarray, " b"], shape: tuple[int, ...]
) -> UInt64[np.ndarray, "b h w c"]:
    """Draw 64 bits for each pixel, from the name of the split and the index of the image."""
    key = zlib.crc32(split.encode())
    noise = np.empty(shape, np.uint64)
    for place, index in enumerate(indices):
        # The image is the highest word of the counter, so streams of images never overlap.
        bits = np.random.Philox(key=key, counter=[0, 0, 0, int(index)])
        noise[place] = bits.random_raw(noise[place].size).reshape(shape[1:])
    return noise


def _fresh_noise(
    seed: int, step: int, places: Int[np.ndarray, " b"], shape: tuple[int, ...]
) -> UInt64[np.ndarray, "b h w c"]:
    """Draw 64 bits for each pixel, from the seed, the step and the place in the batch."""
    whole = (int(places.max()) + 1, *shape)
    # NumPy promises never to change the stream of random_raw; it does not for Generator.
    return np.random.Philox([seed, step]).random_raw(math.prod(whole)).reshape(whole)[places]

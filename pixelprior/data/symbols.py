"""From pixels to the symbols that models predict, and back.

Legend: b batch, h height, w width, c channels.

Every random draw here is counter-based: it depends on what it is for and on nothing else. Binarised
results of the literature differ in how they draw, and are not comparable with each other, so
`Symbols.describe` gives the words that must stand beside every number.
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
    """How pixels become symbols.

    Attributes:
        levels: how many values a symbol takes, 2 to 256 and at most as many as the pixels.
        binarisation: how two levels are reached; anything but "none" requires ``levels == 2``.
            "none" quantises evenly: ``floor(pixel * levels / native_levels)``, which for powers of
            two drops the lowest bits. "threshold" is 1 from half the brightest value on. "static"
            is 1 with a probability equal to the pixel's brightness, drawn once for each image.
            "dynamic" draws so again each time an image is trained on; validation and test
            images keep one fixed draw, the same as under "static", so that results repeat.

    Raises:
        DataError: if the levels or the binarisation are none of these.
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
        """The words to print beside every result on a split, like "256 levels (8 bits)"."""
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
        """Raises a DataError unless pixels of ``native_levels`` values can become these symbols."""
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
        """The symbols of a batch of images.

        Args:
            pixels: the images, values in ``[0, native_levels)``.
            native_levels: how many values a pixel can take.
            split: the name of the split the images are from: "static" draws by it.
            indices: the index of each image in its split: "static" draws by them.
            fresh: ``(seed, step)`` of a training batch: "dynamic" draws by them and the place in
                the batch. None for a fixed draw, as validation and test need it.
            places: the place of each image in its training batch; None for 0, 1, and so on.

        Raises:
            DataError: if the pixels have fewer levels than the symbols.
        """
        self.check(native_levels)
        brightest = native_levels - 1
        match self.binarisation:
            case "none":
                symbols = pixels.astype(np.int32)
                # Equal levels, the most common case, are spared the arithmetic.
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
        # Bernoulli(pixel / brightest): as many of the remainders 0, ..., brightest - 1, which are
        # equally likely to one part in 2**56, are below the pixel as its value says.
        return (noise % np.uint64(brightest) < pixels).astype(np.int32)


def to_pixels(symbols: Int[np.ndarray, "b h w c"], levels: int) -> Float32[np.ndarray, "b h w c"]:
    """Symbols as brightness: 0 is black, ``levels - 1`` is 1.0, white."""
    return np.asarray(symbols, np.float32) / np.float32(levels - 1)


def _fixed_noise(
    split: str, indices: Sequence[int] | Int[np.ndarray, " b"], shape: tuple[int, ...]
) -> UInt64[np.ndarray, "b h w c"]:
    """64 random bits for each pixel, by the split's name and the image's index."""
    key = zlib.crc32(split.encode())
    noise = np.empty(shape, np.uint64)
    for place, index in enumerate(indices):
        # The image is the counter's highest word: its stream can never run into the next one's.
        bits = np.random.Philox(key=key, counter=[0, 0, 0, int(index)])
        noise[place] = bits.random_raw(noise[place].size).reshape(shape[1:])
    return noise


def _fresh_noise(
    seed: int, step: int, places: Int[np.ndarray, " b"], shape: tuple[int, ...]
) -> UInt64[np.ndarray, "b h w c"]:
    """64 random bits for each pixel, by the seed, the step and the place in the batch."""
    whole = (int(places.max()) + 1, *shape)
    # random_raw rather than a Generator: NumPy promises never to change its stream.
    return np.random.Philox([seed, step]).random_raw(math.prod(whole)).reshape(whole)[places]

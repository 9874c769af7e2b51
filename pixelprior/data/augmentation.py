"""Augmentation of training images: mirror images, crops and colour jitter.

Legend: b rows of a batch, h height, w width, c channels.

Each draw is a pure function of (seed, step, place in the batch). Each kind of change has its own
random stream, so a setting never changes the draws of another one.

Colours change before pixels become symbols. Positions change after that, because a statically
binarised image must keep its one draw.

A crop shifts the image by whole pixels, so every pixel keeps its exact value. A crop that is
resized would mix neighbouring pixels, and a likelihood model would learn that blur. The shifted
border shows the mirrored image, because a black one would occur in samples.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int, Int32, UInt8

from pixelprior.data.errors import DataError
from pixelprior.data.order import COLOURS, CROPS, FLIPS, Rows

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the grey of a colour (ITU-R BT.601)."""


Images = Float[np.ndarray, "b h w c"]
"""Images with pixels in [0, 1]."""

Shifts = Float[np.ndarray, "b 1 1 1"]
"""Change of each image."""


class BatchDraws(NamedTuple):
    """Random numbers for some rows of a training batch.

    Attributes:
        seed: the seed of the run.
        step: the number of the batch.
        batch_size: the number of images in the whole batch.
        rows: the rows.
    """

    seed: int
    step: int
    batch_size: int
    rows: Rows

    def uniform(self, purpose: int, *shape: int) -> Float64[np.ndarray, "b ..."]:
        """Draw from [0, 1) for each row. The draws of a row do not depend on the other rows."""
        generator = np.random.default_rng([self.seed, purpose, self.step])
        return generator.random((self.batch_size, *shape))[self.rows]


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Random changes of training images. The fields are keys of a config.

    The jitters are those of torchvision's ``ColorJitter``, in the fixed order of the fields. A
    jitter of strength ``s`` has a factor for each image, uniform in [1 - s, 1 + s]. A strength of 0
    changes nothing.

    Attributes:
        flip: mirror images left to right, each with probability 1/2.
        crop_padding: pad images by this many reflected pixels, and crop them to their size.
        brightness_jitter: strength in [0, 1] of the factor on all pixels.
        contrast_jitter: strength in [0, 1] of the factor on the distance to the mean grey.
        saturation_jitter: strength in [0, 1] of the factor on the distance to each pixel's grey.
        hue_jitter: the largest shift of the hue, in [0, 0.5] of the colour circle.
    """

    flip: bool = False
    crop_padding: int = 0
    brightness_jitter: float = 0.0
    contrast_jitter: float = 0.0
    saturation_jitter: float = 0.0
    hue_jitter: float = 0.0

    def describe(self) -> str:
        """List the settings that change images, like "flip, crop_padding=4"; empty for none."""
        return ", ".join(
            name if value is True else f"{name}={value:g}"
            for name, value in dataclasses.asdict(self).items()
            if value
        )

    def check(self, shape: tuple[int, int, int], levels: int) -> None:
        """Check that images can be augmented so.

        Two levels leave no shades to change, under any binarisation. "threshold" would only move
        the edges of shapes. "static" promises one draw for each image. For "dynamic", pixels are
        probabilities, so the jitter would add noise.

        Args:
            shape: ``(height, width, channels)`` of every image.
            levels: the number of values per symbol.

        Raises:
            DataError: if a crop is larger than the image allows, or the images lack the colours.
        """
        height, width, channels = shape
        if self.crop_padding >= min(height, width):
            raise DataError(
                f"crop_padding={self.crop_padding} must be below the height and the width of the "
                f"images, which are {height}x{width}; reduce crop_padding"
            )
        for name in JITTERS:
            if not getattr(self, name):
                continue
            if levels == 2:
                raise DataError(
                    f"{name} changes shades, but images with levels=2 have none; set {name} to 0"
                )
            if name in ("saturation_jitter", "hue_jitter") and channels != 3:
                raise DataError(
                    f"{name} needs images with the channels red, green and blue, but they have "
                    f"{channels}; set {name} to 0"
                )

    def change_colours(
        self, pixels: UInt8[np.ndarray, "b h w c"], native_levels: int, draws: BatchDraws
    ) -> UInt8[np.ndarray, "b h w c"]:
        """Apply the colour jitter to pixels with values in ``[0, native_levels)``."""
        strengths = np.array([getattr(self, name) for name in JITTERS])
        if not strengths.any():
            return pixels
        # Each image has a draw for each jitter, also for those that are off.
        shifts = strengths * (2 * draws.uniform(COLOURS, len(JITTERS)) - 1)
        shifts = shifts.astype(np.float32)
        images = pixels.astype(np.float32) / np.float32(native_levels - 1)
        for change, strength, shift in zip(JITTERS.values(), strengths, shifts.T, strict=True):
            if strength:
                images = change(images, shift[:, None, None, None])
        return np.rint(images * np.float32(native_levels - 1)).astype(np.uint8)

    def change_positions(
        self, images: Int32[np.ndarray, "b h w c"], draws: BatchDraws
    ) -> Int32[np.ndarray, "b h w c"]:
        """Mirror and crop images. The array may be changed in place."""
        if self.flip:
            mirrored = draws.uniform(FLIPS) < 0.5
            images[mirrored] = images[mirrored, :, ::-1]
        if self.crop_padding:
            positions = 2 * self.crop_padding + 1
            corners = (draws.uniform(CROPS, 2) * positions).astype(int)
            images = crop_reflected(images, corners, self.crop_padding)
        return images


NONE = Augmentation()
"""No augmentation."""


def crop_reflected(
    images: Int32[np.ndarray, "b h w c"], corners: Int[np.ndarray, "b 2"], padding: int
) -> Int32[np.ndarray, "b h w c"]:
    """Pad images by reflection, and crop each to its size again.

    Args:
        images: the images.
        corners: row and column of the first pixel of each crop in the padded image, from 0 to
            ``2 * padding``. ``padding`` gives the image itself.
        padding: the number of pixels to pad on each side, below the height and the width.
    """
    # Indices of pixels are padded, not the images.
    rows, columns = (
        np.pad(np.arange(size), padding, mode="reflect")[first[:, None] + np.arange(size)]
        for size, first in zip(images.shape[1:3], corners.T, strict=True)
    )
    number = np.arange(len(images))
    return images[number[:, None, None], rows[:, :, None], columns[:, None, :]]


def change_brightness(images: Images, shifts: Shifts) -> Images:
    """Multiply the pixels by 1 + shift."""
    return np.clip((1 + shifts) * images, 0, 1)


def change_contrast(images: Images, shifts: Shifts) -> Images:
    """Multiply the distance of the pixels to the mean grey of the image by 1 + shift."""
    return _blend(_grey(images).mean((1, 2), keepdims=True), images, shifts)


def change_saturation(images: Images, shifts: Shifts) -> Images:
    """Multiply the distance of each pixel to its own grey by 1 + shift."""
    return _blend(_grey(images), images, shifts)


def change_hue(images: Images, shifts: Shifts) -> Images:
    """Turn the hue of each pixel of an RGB image by a part of the colour circle.

    Value and saturation of the HSV colour model stay as they are.
    """
    # Arrays of whole channels are many times as fast as channels that lie side by side.
    red, green, blue = channels = np.ascontiguousarray(np.moveaxis(images, -1, 0))
    value = channels.max(0)
    chroma = value - channels.min(0)
    # Grey pixels have no hue. Any divisor leaves them grey.
    divisor = np.where(chroma > 0, chroma, 1)
    hue = np.select(
        [value == red, value == green],
        [(green - blue) / divisor, (blue - red) / divisor + 2],
        (red - green) / divisor + 4,
    )
    # Each channel is a function of the hue, in sixths of the circle (Smith 1978, "Color gamut
    # transform pairs").
    offsets = np.array([5, 3, 1], images.dtype)[:, None, None, None]
    sixths = hue + 6 * shifts[..., 0] + offsets
    sixths -= 6 * np.floor(sixths / 6)  # the remainder, which NumPy computes slowly
    changed = value - chroma * np.clip(np.minimum(sixths, 4 - sixths), 0, 1)
    return np.moveaxis(changed, 0, -1)


JITTERS: dict[str, Callable[[Images, Shifts], Images]] = {
    "brightness_jitter": change_brightness,
    "contrast_jitter": change_contrast,
    "saturation_jitter": change_saturation,
    "hue_jitter": change_hue,
}
"""The function of each colour jitter, in the order in which they apply."""


def _blend(origin: Images, images: Images, shifts: Shifts) -> Images:
    """Move the pixels away from an origin by a factor of 1 + shift, within [0, 1]."""
    return np.clip(origin + (1 + shifts) * (images - origin), 0, 1)


def _grey(images: Images) -> Images:
    """Grey of each pixel, with one channel. Colours other than RGB count equally."""
    channels = images.shape[-1]
    weights = LUMA if channels == 3 else [1 / channels] * channels
    # A product of matrices would round differently for other numbers of rows.
    return sum(weight * images[..., n, None] for n, weight in enumerate(weights))

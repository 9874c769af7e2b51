"""Range of the stored pixels of a data set, found once for all images.

Masks and binarised sets may store 0 and 1 instead of 0 and 255. Cameras store 10, 12 or 14 bits in
16. Read as they are, such images would be black.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8, UInt16

from pixelprior.data.errors import DataError
from pixelprior.data.source import Example, Source
from pixelprior.data.words import listed
from pixelprior.progress import Caution, Report

DARK = 64
"""Data whose brightest 8-bit pixel is below this value are dark by mistake, most likely."""

MANY = 0.1
"""Share of dark images above which their range is most likely another one."""

_USED_BITS = (1, 8, 10, 12, 14, 16)

_SEARCHED = 500
"""Number of images among which a bright pixel is searched, for data that no file describes."""


class Stored(NamedTuple):
    """Stored pixels of one image.

    Attributes:
        bits: bits of a decoded pixel, 8 or 16.
        brightest: the largest decoded value.
        cut: True if the file has 16 bits, but only the upper 8 could be decoded.
    """

    bits: int
    brightest: int
    cut: bool = False


class PixelRange(NamedTuple):
    """Range of the stored pixels of a data set.

    Attributes:
        brightest: the value of white in 8-bit images: 255, or 1 for pixels 0 and 1.
        bits: the number of bits in use in 16-bit grey images; 0 if there are none.
        cut: True if there are 16-bit colour images, of which the upper 8 bits are read.
    """

    brightest: int = 255
    bits: int = 0
    cut: bool = False

    def to_eight_bits(
        self, pixels: UInt8[np.ndarray, "h w c"] | UInt16[np.ndarray, "h w c"]
    ) -> UInt8[np.ndarray, "h w c"]:
        """Convert an image to pixels from 0 to 255.

        Raises:
            DataError: if the data have pixels 0 and 1, and this image has brighter ones.
        """
        if pixels.dtype == np.uint16:
            return _to_eight_bits(pixels, self.bits or 16)
        if self.brightest == 255:
            return pixels
        if pixels.max(initial=0) > 1:
            raise DataError(
                f"most images have the pixels 0 and 1 only, but one has {pixels.max()}; store all "
                "of them with pixels from 0 to 255"
            )
        return pixels * np.uint8(255)

    def is_dark(self, image: Stored) -> bool:
        """True if all pixels of an image are below a quarter of white."""
        if image.bits == 16:
            white = 2 ** (self.bits or 16) - 1
        else:
            white = self.brightest
        return image.brightest < white / 4

    def fitting(self, images: Iterable[Stored]) -> "PixelRange":
        """Return this range, changed where other images do not fit into it."""
        found = find_range(images)
        return PixelRange(
            brightest=max(self.brightest, found.brightest) if self.brightest == 1 else 255,
            bits=max(self.bits, found.bits) if found.bits else self.bits,
            cut=found.cut,
        )

    def note(self) -> str:
        """Describe the conversion, for results; "" if pixels are used as they are."""
        notes = []
        if self.brightest == 1:
            notes.append("pixels 0 and 1 scaled to 0 and 255")
        if self.bits:
            notes.append(f"{self.bits}-bit pixels scaled to 8 bits")
        if self.cut:
            notes.append("16-bit colour cut to its upper 8 bits")
        return ", ".join(notes)


def find_range(images: Iterable[Stored]) -> PixelRange:
    """Find the range of the stored pixels of a data set, or of one image.

    Raises:
        DataError: if 16-bit colour images use so few bits that their upper 8 bits are dark.
    """
    eight, sixteen, cut = _brightest(images)
    if 0 <= cut < DARK:
        raise DataError(
            f"16-bit colour with at most {(cut + 1) * 256 - 1:,} of 65,535 values would become "
            "dark, because only its upper 8 bits can be read; convert it to 8 bits"
        )
    return PixelRange(
        brightest=1 if 0 <= eight <= 1 else 255,
        bits=0 if sixteen < 0 else _significant_bits(sixteen),
        cut=cut >= 0,
    )


def check_bright(images: Mapping[str, Stored], where: str, report: Report) -> None:
    """Check that the images of a data set are not black or dark.

    Args:
        images: the images, by name.
        where: the name of the data set, for messages.
        report: receives a caution if all images are dark, or many beside bright ones.

    Raises:
        DataError: if all images are black.
    """
    eight, sixteen, cut = _brightest(images.values())
    if max(eight, sixteen, cut) <= 0:
        raise DataError(f"all pixels of all images in {where} are 0; check how they were stored")
    if 1 < eight < DARK and sixteen < 0 and cut < 0:
        report(
            Caution(
                f"the brightest pixel of all images in {where} is {eight} of 255; if pixels are "
                "numbers of classes or of palette colours, convert them to shades"
            )
        )
        return
    values = find_range(images.values())
    dark = [name for name, image in images.items() if values.is_dark(image)]
    if len(dark) > MANY * len(images):
        report(
            Caution(
                f"{len(dark):,} of {len(images):,} images in {where} use less than a quarter of "
                f"the range of the brightest ({listed(dark, 5)}); if their white is another value, "
                "convert them first"
            )
        )


def search_range(source: Source, where: str, report: Report) -> PixelRange:
    """Find the range of the stored pixels of 8-bit images from a sample of them.

    Up to 500 images are read, evenly spaced, until one has a bright pixel. Usually the first has.
    Raises the errors of `check_bright`.
    """
    found: dict[str, Stored] = {}
    for index in range(0, len(source), max(1, len(source) // _SEARCHED)):
        brightest = int(source[index]["image"].max(initial=0))
        if brightest >= DARK:
            return PixelRange()
        found[str(index)] = Stored(8, brightest)
    check_bright(found, where, report)
    return find_range(found.values())


class Ranged:
    """A source that converts the stored pixels of another one to pixels from 0 to 255."""

    def __init__(self, source: Source, values: PixelRange):
        self._source = source
        self._values = values

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Example:
        example = self._source[index]
        return {**example, "image": self._values.to_eight_bits(example["image"])}


def _brightest(images: Iterable[Stored]) -> tuple[int, int, int]:
    """Largest value of 8-bit images, of 16-bit images and of cut ones; -1 if there are none."""
    found = [-1, -1, -1]
    for image in images:
        kind = 2 if image.cut else image.bits == 16
        found[kind] = max(found[kind], image.brightest)
    return found[0], found[1], found[2]


def _significant_bits(brightest: int) -> int:
    """Smallest usual number of bits that holds the brightest 16-bit value."""
    return next(bits for bits in _USED_BITS if brightest < 2**bits)


def _to_eight_bits(pixels: UInt16[np.ndarray, "h w c"], bits: int) -> UInt8[np.ndarray, "h w c"]:
    """Scale pixels so that ``2**bits - 1`` becomes 255. Brighter pixels become 255, too."""
    white = 2**bits - 1
    # White is odd, so adding its half before the division rounds to the nearest integer.
    scaled = (pixels.astype(np.uint32) * 255 + white // 2) // white
    return np.minimum(scaled, 255).astype(np.uint8)

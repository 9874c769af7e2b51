"""Decoding of image files: one function for folders, uploads and masks.

Legend: h height, w width, c channels (1 grey, 3 colour).
"""

import contextlib
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import UInt8, UInt16

from pixelprior.data.errors import DataError
from pixelprior.data.pictures.colours import BACKGROUND, eight_bit_pixels, read_only
from pixelprior.data.pictures.formats import damaged, readable_formats, unidentified
from pixelprior.data.pictures.pixel_range import Stored

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

# Numbers of TIFF and EXIF tags.
_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_ORIENTATION = 274
_PLANES = 284


class Picture(NamedTuple):
    """The decoded first frame of an image file.

    Attributes:
        pixels: the pixels, uint16 for 16-bit grey images and uint8 for all others. The array is
            read-only. Images in colour have the high bytes of 16-bit channels.
        stored_bits: the number of bits per channel in the file, 8 or 16. Fewer than 8 bits count
            as 8, and 9 to 15 bits as 16.
        frames: the number of frames or pages in the file.
    """

    pixels: UInt8[np.ndarray, "h w c"] | UInt16[np.ndarray, "h w 1"]
    stored_bits: int
    frames: int

    @property
    def stored(self) -> Stored:
        """Facts from which the range of the pixels is found."""
        bits = 8 * self.pixels.itemsize
        return Stored(bits, int(self.pixels.max()), cut=self.stored_bits > bits)


class PictureError(DataError):
    """An image file that cannot be used.

    Attributes:
        reason: a clause that follows the name of the file, such as "has floating-point pixels;
            convert them to 8 bits".
    """

    def __init__(self, reason: str, name: str = "the file"):
        super().__init__(reason, name)  # both, so that the error can be pickled
        self.reason = reason
        self._name = name

    def __str__(self) -> str:
        return f"{self._name} {self.reason}"


def read_picture(
    file: Path | IO[bytes], *, formats: Sequence[str] | None = None, max_side: int | None = None
) -> Picture:
    """Decode the first frame of an image file.

    The content of the file decides its format, not its name. The image is turned as its EXIF data
    says, and transparent pixels are composited on white. Colours are converted to sRGB if the file
    has another colour profile. The values of grey images are kept. An image is grey if its three
    channels are equal everywhere.

    The values of a PGM or PPM file are scaled, so that its largest possible value is white. AVIF
    and HEIF files with more than 8 bits are decoded with 8 bits. All threads may call this
    function.

    Args:
        file: a path, or a binary file that can seek. The file is not closed.
        formats: Pillow's names of the accepted formats. All of `SUFFIXES` are accepted by default.
        max_side: the largest accepted height and width in pixels.

    Raises:
        PictureError: if the file cannot be decoded, is too large, or has another format. Also if
            its pixels are floating-point numbers or 32-bit integers.
    """
    readable = readable_formats()
    accepted = readable if formats is None else tuple(f for f in formats if f in readable)
    try:
        with contextlib.ExitStack() as stack:
            # Pillow leaves a path open if it fails. A file that is opened here is always closed.
            stream = stack.enter_context(file.open("rb")) if isinstance(file, Path) else file
            image = stack.enter_context(_open(stream, accepted))
            return _decode(image, max_side)
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises many kinds of errors for broken files
        name = str(file) if isinstance(file, Path) else "the file"
        raise PictureError(_reason(error), name) from error


def _open(stream: IO[bytes], formats: Sequence[str]) -> "ImageFile":
    """Read the header of an image file."""
    from PIL import Image, UnidentifiedImageError

    _silence_size_warning()
    try:
        return Image.open(stream, formats=tuple(formats))
    except UnidentifiedImageError as error:
        stream.seek(0)
        raise PictureError(unidentified(stream.read(16), formats)) from error


def _silence_size_warning() -> None:
    """Ignore Pillow's warning about images above half of its limit.

    The filter stays in place. ``warnings.catch_warnings`` is not safe with threads.
    """
    from PIL.Image import DecompressionBombWarning

    # Each change of the filters makes Python repeat all warnings, so look first.
    if ("ignore", None, DecompressionBombWarning, None, 0) not in warnings.filters:
        warnings.simplefilter("ignore", DecompressionBombWarning)


def _reason(error: Exception) -> str:
    from PIL.Image import DecompressionBombError

    if isinstance(error, PictureError):
        return error.reason
    if isinstance(error, DecompressionBombError):
        # Only the message has the size: Pillow raises before it returns the image.
        pixels, limit = map(int, re.findall(r"\d+", str(error))[:2])
        return (
            f"has {-(-pixels // 10**6)} million pixels, more than Pillow's limit of "
            f"{limit // 10**6} million; make it smaller"
        )
    detail = (error.strerror if isinstance(error, OSError) else None) or str(error)
    if not any(character.isalpha() for character in detail):
        detail = f"{type(error).__name__} {detail}".strip()  # some have only a number, or nothing
    return damaged(detail)


def _decode(image: "ImageFile", max_side: int | None) -> Picture:
    width, height = image.size
    if max_side is not None and max(width, height) > max_side:
        raise PictureError(
            f"is {width} x {height} pixels; the longest side may have {max_side} pixels; "
            "make it smaller"
        )
    stored_bits = _stored_bits(image)
    if image.mode == "F":
        raise PictureError("has floating-point pixels; convert them to 8 bits")
    if stored_bits > 16:
        raise PictureError(f"has {stored_bits}-bit pixels; convert them to 8 or 16 bits")
    if stored_bits == 16 and _is_in_raw_planes(image):
        raise PictureError(
            "has 16-bit channels stored apart, which Pillow misreads; save it as PNG"
        )
    _scale_transparent_shade(image)
    image.load()
    upright = _upright(image)
    if image.mode.startswith("I"):
        pixels = _sixteen_bit_pixels(upright, inverted=_is_inverted(image))
    elif stored_bits == 16 and "transparency" in image.info:
        # Pillow dropped the low bytes, so other colours could match the transparent one.
        raise PictureError("has a transparent 16-bit colour; convert it to 8 bits")
    else:
        pixels = eight_bit_pixels(upright)
    # The other images of an MPO file are previews or depth maps of the same photograph.
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    return Picture(pixels, stored_bits, frames)


def _stored_bits(image: "ImageFile") -> int:
    """Bits per channel in the file: 8, 16, or more in TIFF files."""
    from PIL.TiffImagePlugin import TiffImageFile

    if isinstance(image, TiffImageFile):
        bits = max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,)))
        return 8 if bits <= 8 else max(bits, 16)
    if image.mode.startswith("I"):
        return 16
    if image.format == "PNG":
        return 16 if _raw_mode(image).endswith(";16B") else 8
    if image.format == "PPM":
        arguments = image.tile[0][3]
        largest = arguments[1] if isinstance(arguments, tuple) else 255
        return 16 if largest > 255 else 8
    return 8


def _raw_mode(image: "ImageFile") -> str:
    """Pillow's name of the type of pixels in a PNG file."""
    return str(image.tile[0][3]) if image.tile else ""


def _is_in_raw_planes(image: "ImageFile") -> bool:
    """Check for an uncompressed TIFF file that stores each channel apart."""
    from PIL.TiffImagePlugin import TiffImageFile

    return (
        isinstance(image, TiffImageFile)
        and image.tag_v2.get(_PLANES) == 2
        and image.info["compression"] == "raw"
        and len(image.getbands()) > 1
    )


def _scale_transparent_shade(image: "ImageFile") -> None:
    """Scale the transparent shade of a PNG with 2 or 4 bits, as Pillow scales its pixels."""
    factor = {"L;2": 85, "L;4": 17}.get(_raw_mode(image)) if image.format == "PNG" else None
    if factor and "transparency" in image.info:
        image.info["transparency"] *= factor


def _upright(image: "ImageFile") -> "Image":
    """Turn an image as its EXIF data says."""
    from PIL.Image import Transpose

    try:
        # For TIFF files, Pillow has turned the image and removed the entry.
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Pillow raises many kinds of errors for broken EXIF data
        return image
    method = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation)
    return image if method is None else image.transpose(method)


def _is_inverted(image: "ImageFile") -> bool:
    """Check for a TIFF file where 0 is white. Pillow inverts these only up to 8 bits."""
    from PIL.TiffImagePlugin import TiffImageFile

    return isinstance(image, TiffImageFile) and image.tag_v2.get(_PHOTOMETRIC) == 0


def _sixteen_bit_pixels(image: "Image", *, inverted: bool) -> UInt16[np.ndarray, "h w 1"]:
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise PictureError("has pixels outside 0 to 65535; convert them to 8 or 16 bits")
    pixels = values.astype(np.uint16)
    if inverted:
        pixels = 65535 - pixels
    if "transparency" in image.info:
        pixels[pixels == image.info["transparency"]] = BACKGROUND * 257
    return read_only(pixels[..., None])

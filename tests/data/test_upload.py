"""Images from strangers: brought to a shape, or refused before they can do harm."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pixelprior.data import DataError
from pixelprior.data.pictures.upload import MAX_BYTES, decode_upload


def encoded(image, format="PNG"):
    file = io.BytesIO()
    image.save(file, format=format)
    return file.getvalue()


NOISE = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)


def test_pixels_of_the_right_shape_stay_as_they_are():
    found = decode_upload(encoded(Image.fromarray(NOISE)), (6, 5, 3))
    np.testing.assert_array_equal(found, NOISE)
    inverted = decode_upload(encoded(Image.fromarray(NOISE)), (6, 5, 3), invert=True)
    np.testing.assert_array_equal(inverted, 255 - NOISE)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("shape", [(4, 4, 1), (3, 7, 3)])
def test_others_are_scaled_and_cropped(format, shape):
    found = decode_upload(encoded(Image.new("RGB", (50, 40), (90, 90, 90)), format), shape)
    assert found.shape == shape and found.dtype == np.uint8
    np.testing.assert_allclose(found, 90, atol=2)


def test_what_is_transparent_is_white():
    image = Image.new("RGBA", (2, 2), (10, 20, 30, 0))
    image.putpixel((0, 0), (10, 20, 30, 255))
    found = decode_upload(encoded(image), (2, 2, 3))
    np.testing.assert_array_equal(found[0, 0], [10, 20, 30])
    assert (found.reshape(-1, 3)[1:] == 255).all()


def test_grey_and_colour_are_converted_to_the_channels_wanted():
    grey = decode_upload(encoded(Image.fromarray(NOISE)), (6, 5, 1))
    luma = NOISE @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(grey[..., 0], luma, atol=0.51)
    colour = decode_upload(encoded(Image.fromarray(NOISE[..., 0])), (6, 5, 3))
    np.testing.assert_array_equal(colour, np.dstack([NOISE[..., 0]] * 3))


def test_pixels_0_and_1_become_black_and_white():
    mask = NOISE[..., 0] % 2
    found = decode_upload(encoded(Image.fromarray(mask)), (6, 5, 1))
    np.testing.assert_array_equal(found[..., 0], mask * 255)


@pytest.mark.parametrize("bits", [10, 16])
def test_16_bits_are_scaled_to_8(bits):
    white = 2**bits - 1
    deep = np.linspace(0, white, 30).reshape(6, 5).astype(np.uint16)
    found = decode_upload(encoded(Image.fromarray(deep)), (6, 5, 1))
    np.testing.assert_array_equal(found[..., 0], np.rint(deep * 255.0 / white))


def test_photographs_are_turned_upright():
    exif = Image.Exif()
    exif[274] = 6
    file = io.BytesIO()
    Image.fromarray(np.rot90(NOISE)).save(file, "PNG", exif=exif)
    np.testing.assert_array_equal(decode_upload(file.getvalue(), (6, 5, 3)), NOISE)


def bomb():
    """A PNG file of some bytes that says it has 10 gigapixels."""

    def chunk(kind, data):
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file cannot be read as an image \\(the file is empty\\)"),
        (b"\x80\x04K\x01.", "cannot be read as an image"),
        (encoded(Image.fromarray(NOISE))[:-30], "cannot be read as an image"),
        (encoded(Image.fromarray(NOISE), "BMP"), "it is broken, or none of PNG, JPEG, WEBP"),
        (bytes(MAX_BYTES + 1), "expected at most 5 MB, got 5.0 MB"),
        (encoded(Image.new("L", (4097, 1))), "is 4097 x 1 pixels; the longest side may have 4096"),
    ],
)
def test_what_cannot_be_used_is_refused(data, message):
    with pytest.raises(DataError, match=message):
        decode_upload(data, (4, 4, 1))


def test_a_huge_image_in_a_small_file_is_not_decoded():
    # Either by its size, or by Pillow's own limit; and in no time and memory.
    with pytest.raises(DataError):
        decode_upload(bomb(), (4, 4, 1))

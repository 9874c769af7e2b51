"""Range of stored pixels, against NumPy in float64."""

import numpy as np
import pytest

from pixelprior.data import DataError
from pixelprior.data.pictures.pixel_range import (
    PixelRange,
    Stored,
    check_bright,
    find_range,
    search_range,
)
from pixelprior.progress import Caution
from tests.data.folders import noise


@pytest.mark.parametrize(
    ("brightest", "bits"),
    [(1, 1), (2, 8), (255, 8), (256, 10), (1023, 10), (4095, 12), (4096, 14), (65535, 16)],
)
def test_bits_in_use(brightest, bits):
    images = [Stored(16, 0), Stored(16, brightest), Stored(8, 255)]
    assert find_range(images) == PixelRange(255, bits)


@pytest.mark.parametrize("bits", [1, 8, 10, 12, 14, 16])
def test_16_bits_to_8(bits):
    values = np.arange(65536, dtype=np.uint16)
    expected = np.minimum(np.rint(values * 255.0 / (2**bits - 1)), 255)
    found = PixelRange(255, bits).to_eight_bits(values.reshape(256, 256, 1))
    assert found.dtype == np.uint8 and found.shape == (256, 256, 1)
    np.testing.assert_array_equal(found.ravel(), expected)


def test_the_brightest_of_all_images_decides():
    images = [Stored(8, 1), Stored(8, 0)]
    assert find_range(images) == PixelRange(1)
    assert find_range([*images, Stored(8, 2)]) == PixelRange(255)
    assert find_range([*images, Stored(16, 4000)]) == PixelRange(1, 12)


def test_pixels_0_and_1():
    image = noise(0, 3, 3, 1) % 2
    values = PixelRange(1)
    np.testing.assert_array_equal(values.to_eight_bits(image), image * 255)
    np.testing.assert_array_equal(PixelRange().to_eight_bits(image), image)
    assert (values.note(), PixelRange().note()) == ("pixels 0 and 1 scaled to 0 and 255", "")
    image[0] = 2
    with pytest.raises(DataError, match="most images have the pixels 0 and 1 only, but one has 2"):
        values.to_eight_bits(image)


def test_16_bit_colour_of_which_the_upper_bits_are_read():
    assert find_range([Stored(8, 255, cut=True)]).note() == "16-bit colour cut to its upper 8 bits"
    # A camera with 12 bits: the upper 8 of 16 bits are at most 15.
    with pytest.raises(DataError, match="16-bit colour with at most 4,095 of 65,535 values would"):
        find_range([Stored(8, 15, cut=True), Stored(8, 255)])


def test_black_and_dark_images():
    events = []
    for image in (Stored(8, 255), Stored(8, 1), Stored(16, 300), Stored(8, 64)):
        check_bright({"a": image}, "here", events.append)
    assert events == []
    check_bright({"a": Stored(8, 63)}, "here", events.append)
    [caution] = events
    assert isinstance(caution, Caution) and "in here is 63 of 255" in caution.text
    with pytest.raises(DataError, match="all pixels of all images in here are 0"):
        check_bright({"a": Stored(8, 0), "b": Stored(16, 0)}, "here", events.append)


@pytest.mark.parametrize(
    ("bright", "dark"),
    [
        (Stored(8, 255), Stored(8, 1)),
        (Stored(8, 255), Stored(8, 63)),
        (Stored(16, 65535), Stored(16, 4095)),
    ],
)
def test_many_dark_images_beside_bright_ones(bright, dark):
    for num_bright, cautions in ((8, 1), (9, 0)):
        events = []
        images = {f"{n}": bright for n in range(num_bright)} | {"dark": dark}
        check_bright(images, "here", events.append)
        assert len(events) == cautions
        if events:
            assert "1 of 9 images in here use less than a quarter" in events[0].text
            assert "(dark)" in events[0].text


def test_other_images_keep_the_range_of_the_data():
    assert PixelRange(255, 16).fitting([Stored(16, 900)]) == PixelRange(255, 16)
    assert PixelRange(255, 12).fitting([Stored(16, 9000)]) == PixelRange(255, 14)
    # A dark photograph stays dark where the data have pixels up to 255.
    assert PixelRange(255).fitting([Stored(8, 1)]) == PixelRange(255)
    assert PixelRange(1).fitting([Stored(8, 1)]) == PixelRange(1)
    assert PixelRange(1).fitting([Stored(8, 200)]) == PixelRange(255)
    assert PixelRange(255).fitting([Stored(16, 900)]) == PixelRange(255, 10)


class _Counted:
    """A source that counts the images that are read."""

    def __init__(self, images):
        self.images, self.read = images, 0

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        self.read += 1
        return {"image": self.images[index], "label": 0}


def test_a_bright_image_ends_the_search():
    source = _Counted(noise(0, 1000, 2, 2, 1) | np.uint8(64))
    assert search_range(source, "here", None) == PixelRange()
    assert source.read == 1
    source = _Counted(noise(0, 1000, 2, 2, 1) % 2)
    assert search_range(source, "here", None) == PixelRange(1)
    assert source.read == 500

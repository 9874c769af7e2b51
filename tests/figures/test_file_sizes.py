"""Sizes of other formats: the files hold the images, and take as little as they say."""

import io

import numpy as np
import pytest
from PIL import Image

from pixelprior.figures import file_sizes
from pixelprior.figures.file_sizes import png_bytes_of, webp_bytes_of


@pytest.fixture
def saved(monkeypatch):
    """The files that are written, decoded."""
    files, save = [], Image.Image.save

    def keep(self, file, **settings):
        save(self, file, **settings)
        pixels = np.asarray(Image.open(io.BytesIO(file.getvalue())).convert("RGB"))
        files.append((pixels, len(file.getvalue())))

    monkeypatch.setattr(file_sizes.Image.Image, "save", keep)
    return files


@pytest.mark.parametrize("levels, channels", [(2, 1), (4, 1), (16, 1), (17, 1), (256, 1), (256, 3)])
def test_the_files_hold_the_images(saved, levels, channels):
    symbols = np.random.default_rng(0).integers(0, levels, (20, 30, channels))
    sizes = [png_bytes_of(symbols, levels), webp_bytes_of(symbols, levels)]
    shades = np.round(symbols / (levels - 1) * 255).astype(np.uint8)
    assert sizes == [size for _, size in saved]
    for pixels, _ in saved:
        np.testing.assert_array_equal(pixels, np.broadcast_to(shades, (20, 30, 3)))


def test_few_shades_take_few_bits():
    rng = np.random.default_rng(0)
    for levels, bits in ((2, 1), (4, 2), (16, 4), (256, 8)):
        noise = rng.integers(0, levels, (200, 200, 1))
        # Noise cannot be compressed: a file has its bits, and a few for the format.
        assert 40_000 * bits / 8 <= png_bytes_of(noise, levels) <= 40_000 * bits / 8 * 1.05 + 1000

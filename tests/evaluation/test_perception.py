"""SSIM and LPIPS of reconstructions: image by image, the fillers of a last batch left out."""

import numpy as np
import pytest
from flax import nnx

from pixelprior.data import Split, Symbols
from pixelprior.data.decode_once import DecodeOnce
from pixelprior.evaluation import perception as module
from pixelprior.evaluation.perception import WINDOW, perception
from pixelprior.grid import Grid
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.vector_quantizer import VectorQuantizer


class Images:
    def __init__(self, shape, count):
        self.images = np.random.default_rng(0).integers(0, 5, (count, *shape)).astype(np.uint8)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return {"image": self.images[index], "label": 0}


def tokenizer(grid):
    return VQVAE(
        grid,
        strides=(2,),
        quantizer=lambda rngs: VectorQuantizer(4, codebook_size=6, rngs=rngs),
        features=4,
        residual_features=2,
        num_residual_blocks=1,
        likelihood="gaussian",
        rngs=nnx.Rngs(0),
    )


def measure(grid, count, batch_size):
    images = Images(grid.shape, count)
    split = Split("test", DecodeOnce(images, grid.shape), 5, "all of it")
    model = tokenizer(grid)
    pixels = (images.images / 4).astype(np.float32)
    found = perception(model, split, Symbols(5, "none"), batch_size=batch_size)
    return found, pixels, np.asarray(model.reconstruct(pixels), np.float64)


def similarity(a, b):
    """Wang et al. 2004, section 3: a mean over windows, in float64, one after the other."""
    places = np.arange(WINDOW) - WINDOW // 2
    line = np.exp(-(places**2) / (2 * 1.5**2))
    weights = np.outer(line, line) / line.sum() ** 2
    values = []
    for i in range(a.shape[0] - WINDOW + 1):
        for j in range(a.shape[1] - WINDOW + 1):
            for c in range(a.shape[2]):
                x, y = (z[i : i + WINDOW, j : j + WINDOW, c] for z in (a, b))
                mx, my = (weights * x).sum(), (weights * y).sum()
                vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
                both = (weights * (x - mx) * (y - my)).sum()
                values.append(
                    (2 * mx * my + 1e-4)
                    * (2 * both + 9e-4)
                    / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
                )
    return np.mean(values)


@pytest.mark.parametrize("channels", [1, 3])
def test_structural_similarity(channels, monkeypatch):
    monkeypatch.setattr(module, "has_lpips", lambda: False)
    found, pixels, reconstructed = measure(Grid(12, 14, channels, 5), 5, batch_size=4)
    expected = [similarity(*pair) for pair in zip(pixels, reconstructed, strict=True)]
    np.testing.assert_allclose(found.ssim, expected, rtol=1e-4, atol=1e-5)
    assert found.lpips is None


def test_images_smaller_than_a_window_have_none(monkeypatch):
    monkeypatch.setattr(module, "has_lpips", lambda: False)
    assert measure(Grid(10, 12, 1, 5), 3, batch_size=4)[0] == (None, None)


def test_every_image_once(monkeypatch):
    # A distance that can be computed by hand.
    monkeypatch.setattr(module, "has_lpips", lambda: True)
    distance = lambda a, b: np.abs(np.asarray(a) - np.asarray(b)).sum((1, 2, 3))  # noqa: E731
    monkeypatch.setattr(module, "lpips_distance", lambda: distance)
    found, pixels, reconstructed = measure(Grid(8, 8, 1, 5), 5, batch_size=4)
    np.testing.assert_allclose(found.lpips, distance(pixels, reconstructed), rtol=1e-5)


def test_channels_that_are_no_picture_have_no_lpips(monkeypatch):
    monkeypatch.setattr(module, "has_lpips", lambda: True)
    assert measure(Grid(8, 8, 2, 5), 3, batch_size=4)[0].lpips is None

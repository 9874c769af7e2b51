"""What is drawn is read back and compared pixel by pixel."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from pixelprior.figures.sheets import (
    above,
    as_shades,
    image_file,
    save_animation,
    save_grid,
    save_image,
    save_pixels,
    sheet,
)


def read(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def test_sheet_to_the_pixel(tmp_path):
    symbols = np.array([[0, 1], [2, 3], [3, 0]], np.int32).reshape(3, 1, 2, 1)
    save_grid(symbols, 4, tmp_path / "sheet.png", columns=2, scale=1)
    g = 128
    expected = [
        [g, g, g, g, g, g, g, g, g, g],
        [g, g, g, g, g, g, g, g, g, g],
        [g, g, 0, 85, g, g, 170, 255, g, g],
        [g, g, g, g, g, g, g, g, g, g],
        [g, g, g, g, g, g, g, g, g, g],
        [g, g, 255, 0, g, g, g, g, g, g],
        [g, g, g, g, g, g, g, g, g, g],
        [g, g, g, g, g, g, g, g, g, g],
    ]
    np.testing.assert_array_equal(read(tmp_path / "sheet.png"), expected)


def test_enlarging_repeats_pixels(tmp_path):
    symbols = np.random.default_rng(0).integers(0, 256, (1, 2, 3, 3))
    save_grid(jnp.asarray(symbols), 256, tmp_path / "sheet.png", scale=4)
    shown = read(tmp_path / "sheet.png")
    assert shown.shape == (2 * 4 + 4, 3 * 4 + 4, 3)
    np.testing.assert_array_equal(shown[2:-2, 2:-2], np.kron(symbols[0], np.ones((4, 4, 1))))


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((16, 8, 8, 1), (4 * 50 + 2, 4 * 50 + 2)),  # 8 pixels become 48
        ((10, 28, 28, 1), (4 * 58 + 2, 3 * 58 + 2)),  # 28 become 56; the last row is short
        ((4, 64, 64, 3), (2 * 66 + 2, 2 * 66 + 2)),  # large enough as it is
        ((8, 50, 100, 1), (2 * 102 + 2, 4 * 52 + 2)),  # wide images: fewer columns
        ((2, 100, 50, 1), (2 * 52 + 2, 102 + 2)),  # never more columns than images
    ],
)
def test_layout_is_nearly_square_and_large_enough(tmp_path, shape, size):
    save_grid(np.zeros(shape, np.int32), 2, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.size == size
        assert image.mode == ("L" if shape[-1] == 1 else "RGB")


@pytest.mark.parametrize(
    ("n", "side", "scale"),
    [
        (6, 0, 6),  # as it is without a side
        (6, 150, 6),  # 3 * 8 pixels, enlarged to 150 of them
        (6, 480, 20),
        (1, 480, 60),
    ],
)
def test_a_sheet_is_enlarged_to_its_longer_side(n, side, scale):
    shown = sheet(np.zeros((n, 8, 8, 1), np.int32), 2, side=side)
    columns, rows = (3, 2) if n == 6 else (1, 1)
    assert shown.size == (columns * (8 * scale + 2) + 2, rows * (8 * scale + 2) + 2)


def test_a_sheet_in_memory_is_the_sheet_on_disk(tmp_path):
    symbols = np.random.default_rng(0).integers(0, 17, (5, 4, 6, 3))
    save_grid(symbols, 17, tmp_path / "sheet.png", columns=3, scale=2)
    in_memory = sheet(symbols, 17, columns=3, scale=2)
    np.testing.assert_array_equal(np.asarray(in_memory), read(tmp_path / "sheet.png"))


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_single_images_at_their_own_size(tmp_path, levels):
    symbols = np.random.default_rng(1).integers(0, levels, (3, 4, 5, 1))
    for number, image in enumerate(symbols, 10):
        path = image_file(tmp_path / "samples", number)
        assert path.name == f"0000{number}.png"
        save_image(image, levels, path)
        expected = np.round(image[..., 0] * 255.0 / (levels - 1))
        np.testing.assert_array_equal(read(path), expected)


def test_eight_bit_colour_survives(tmp_path):
    symbols = np.arange(256 * 3, dtype=np.int32).reshape(16, 16, 3) % 256
    save_image(symbols, 256, tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png"), symbols)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    symbols = np.zeros((1, 2, 2, 1), np.int32)
    path = tmp_path / "new" / "sheet.png"
    save_grid(symbols, 2, path)
    before = path.read_bytes()

    def fail(self, file, format):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_grid(symbols + 1, 2, path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("channels", [2, 4])
def test_undrawable_channels(tmp_path, channels):
    with pytest.raises(ValueError, match=rf"1 channel \(grey\) or 3 \(RGB\).*got {channels}"):
        save_grid(np.zeros((1, 2, 2, channels), np.int32), 2, tmp_path / "sheet.png")


def test_errors_say_what_to_do(tmp_path):
    path, symbols = tmp_path / "sheet.png", np.ones((2, 4, 4, 1), np.int32)
    with pytest.raises(ValueError, match=r"\[n, h, w, c\]"):
        save_grid(symbols[..., 0], 2, path)
    with pytest.raises(ValueError, match="at least one image"):
        save_grid(symbols[:0], 2, path)
    with pytest.raises(ValueError, match="float"):
        save_grid(symbols.astype(np.float32), 2, path)
    with pytest.raises(ValueError, match=r"\[0, 2\)"):
        save_image(symbols[0] + 1, 2, path)
    with pytest.raises(ValueError, match="columns must be an integer of at least 1, got 0"):
        save_grid(symbols, 2, path, columns=0)
    with pytest.raises(ValueError, match="scale must be an integer of at least 1, got 0"):
        save_grid(symbols, 2, path, scale=0)
    assert not path.exists()


def test_shades_of_pixels_by_hand():
    pixels = np.array([-1.0, -0.001, 0.0, 0.5 / 255, 0.6 / 255, 0.25, 1.0, 1.001, 7.0])
    shades = as_shades(pixels.reshape(1, 1, -1, 1).astype(np.float32))
    assert shades.dtype == np.int32
    # 0.25 is 63.75 of 255; halves go to the even one.
    np.testing.assert_array_equal(shades.ravel(), [0, 0, 0, 0, 1, 64, 255, 255, 255])


def test_every_shade_comes_back():
    symbols = np.arange(256, dtype=np.int32).reshape(1, 16, 16, 1)
    np.testing.assert_array_equal(as_shades((symbols / 255).astype(np.float32)), symbols)


def test_a_picture_above_its_reconstruction():
    originals = np.random.default_rng(0).uniform(size=(3, 2, 4, 3)).astype(np.float32)
    reconstructions = np.random.default_rng(1).uniform(size=(3, 2, 4, 3)).astype(np.float32)
    both = above(originals, reconstructions)
    assert both.shape == (3, 5, 4, 3) and both.dtype == np.float32
    np.testing.assert_array_equal(both[:, :2], originals)
    np.testing.assert_array_equal(both[:, 2], np.full((3, 4, 3), 0.5))
    np.testing.assert_array_equal(both[:, 3:], reconstructions)


def test_pixels_are_drawn_as_symbols_are(tmp_path):
    symbols = np.random.default_rng(0).integers(0, 256, (3, 50, 60, 3))
    pixels = (symbols / 255).astype(np.float32)
    save_pixels(pixels, tmp_path / "new" / "pixels.png", columns=2)
    save_grid(symbols, 256, tmp_path / "symbols.png", columns=2)
    sheet = read(tmp_path / "new" / "pixels.png")
    np.testing.assert_array_equal(sheet, read(tmp_path / "symbols.png"))
    # Large enough as they are.
    assert sheet.shape == (2 * 52 + 2, 2 * 62 + 2, 3)
    np.testing.assert_array_equal(sheet[2:52, 2:62], symbols[0])


@pytest.mark.parametrize("channels", [1, 3])
def test_an_animation_shows_the_sheet_of_every_frame(tmp_path, channels):
    # Black and white alone: a GIF has few colours.
    frames = np.random.default_rng(0).integers(0, 2, (3, 4, 50, 60, channels))
    save_animation(list(frames), 2, tmp_path / "new" / "moving.gif", milliseconds=40)
    with Image.open(tmp_path / "new" / "moving.gif") as moving:
        assert moving.format == "GIF" and moving.n_frames == 3
        for number, frame in enumerate(frames):
            save_grid(frame, 2, tmp_path / "sheet.png")
            moving.seek(number)
            assert moving.info["duration"] == (800 if number == 2 else 40)
            shown = np.asarray(moving.convert("RGB"), int)
            sheet = read(tmp_path / "sheet.png").astype(int)
            sheet = sheet if channels == 3 else np.repeat(sheet[..., None], 3, axis=-1)
            assert np.abs(shown - sheet).max() <= 1

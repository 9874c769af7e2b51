"""Data sets in one .npz file, against arrays that the tests write."""

import zipfile

import numpy as np
import pytest

from pixelprior.data import DataError, open_dataset
from pixelprior.progress import Caution
from tests.data.folders import examples, noise


def write(path, **arrays):
    np.savez(path, **arrays)
    return f"npz:{path}"


def contents(dataset):
    return sorted(
        (e["image"].tobytes(), e["label"]) for part in examples(dataset).values() for e in part
    )


def test_images_and_labels(tmp_path):
    images, labels = noise(0, 20, 5, 4, 3), np.arange(20) % 3
    name = write(tmp_path / "a.npz", images=images, labels=labels)
    dataset = open_dataset(name)
    assert (dataset.name, dataset.shape, dataset.note) == (name, (5, 4, 3), "")
    assert dataset.class_names == ("0", "1", "2")
    expected = sorted((i.tobytes(), int(c)) for i, c in zip(images, labels, strict=True))
    assert contents(dataset) == expected
    assert [len(split) for split in dataset.splits.values()] == [14, 2, 4]
    # The content identifies the images, not the place.
    assert open_dataset(write(tmp_path / "b.npz", images=images, labels=labels)).contents == (
        dataset.contents
    )
    images[0, 0, 0, 0] ^= 1
    changed = open_dataset(write(tmp_path / "c.npz", images=images, labels=labels))
    assert changed.contents != dataset.contents


def test_grey_images_without_a_channel_and_labels(tmp_path):
    images = noise(0, 10, 5, 6)
    dataset = open_dataset(write(tmp_path / "a.npz", images=images.astype(np.int64)))
    assert (dataset.shape, dataset.class_names) == ((5, 6, 1), ())
    assert contents(dataset) == sorted((image.tobytes(), 0) for image in images)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int32])
def test_pixels_0_and_1(tmp_path, kind):
    images = noise(0, 10, 5, 6) % 2
    dataset = open_dataset(write(tmp_path / "a.npz", images=images.astype(kind)))
    assert dataset.note == "pixels 0 and 1 scaled to 0 and 255"
    assert contents(dataset) == sorted(((image * 255).tobytes(), 0) for image in images)


def test_12_bits_in_16(tmp_path):
    images = np.random.default_rng(0).integers(0, 4096, (10, 5, 6)).astype(np.uint16)
    images[0, 0, 0] = 4095
    dataset = open_dataset(write(tmp_path / "a.npz", images=images))
    assert dataset.note == "12-bit pixels scaled to 8 bits"
    expected = np.rint(images / 4095 * 255).astype(np.uint8)
    assert contents(dataset) == sorted((image.tobytes(), 0) for image in expected)


def test_transparency_is_composited_on_white(tmp_path):
    images = noise(0, 10, 5, 4, 4)
    dataset = open_dataset(write(tmp_path / "a.npz", images=images))
    alpha = images[..., 3:] / 255
    expected = np.rint(images[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    assert contents(dataset) == sorted((image.tobytes(), 0) for image in expected)


def test_image_size(tmp_path):
    name = write(tmp_path / "a.npz", images=np.full((10, 8, 6, 3), 77, np.uint8))
    dataset = open_dataset(name, image_size=(4, 4))
    assert dataset.shape == (4, 4, 3)
    assert dataset.note == "resized and centre-cropped to 4 x 4"
    assert {image for image, _ in contents(dataset)} == {bytes([77] * 48)}


def test_dark_images_are_warned_of(tmp_path):
    events = []
    open_dataset(write(tmp_path / "a.npz", images=noise(0, 10, 8, 8) % 17), report=events.append)
    assert any(isinstance(e, Caution) and "is 16 of 255" in e.text for e in events)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": noise(0, 9, 5, 5)}, "must have an array 'images', .* it has x_train"),
        ({"images": np.array([{"a": 1}] * 9)}, "cannot be read as an .npz file of numbers"),
        ({"images": np.array(["a"] * 9)}, r"shape \[n, height, .* got \[9\]"),
        ({"images": noise(0, 9, 3, 8, 8)}, r"got \[9, 3, 8, 8\]; images.transpose"),
        ({"images": noise(0, 9, 4, 4, 2)}, r"got \[9, 4, 4, 2\]$"),
        ({"images": np.zeros((0, 5, 5), np.uint8)}, r"no size 0, got \[0, 5, 5, 1\]"),
        ({"images": noise(0, 9, 5, 5) / 255}, "must be integers, got float64; for floats"),
        ({"images": noise(0, 9, 5, 5) - np.int16(9)}, "pixels from 0 to 255 or 65,535, got -"),
        ({"images": np.zeros((9, 5, 5), np.uint8)}, "all pixels of all images in .* are 0"),
        ({"images": noise(0, 2, 5, 5)}, "expected at least 3 images"),
        (
            {"images": noise(0, 9, 5, 5), "labels": np.zeros(8, np.int64)},
            "labels must be 9 integers",
        ),
        (
            {"images": noise(0, 9, 5, 5), "labels": np.full(9, -1)},
            "a.npz: labels must count from 0, got -1",
        ),
        (
            {"images": noise(0, 9, 5, 5), "labels": np.arange(9) + 2**31},
            "labels must be numbers of classes from 0, got 2,147,483,656 for 9 images",
        ),
        (
            {"images": noise(0, 9, 5, 5), "labels": np.array(["a"] * 9)},
            r"labels must be 9 integers, .*return_inverse=True.*argmax",
        ),
        ({"images": noise(0, 16, 16, 3)}, r"shape \[16, 16, 3\] of one colour image"),
    ],
)
def test_arrays_that_are_refused(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        open_dataset(write(tmp_path / "a.npz", **arrays))


def test_files_that_are_refused(tmp_path):
    for name in (tmp_path / "missing.npz", tmp_path, ""):
        with pytest.raises(DataError, match="expected an .npz file after 'npz:'.*--data="):
            open_dataset(f"npz:{name}")
    whole = tmp_path / "a.npz"
    write(whole, images=noise(0, 9, 64, 64))
    np.save(tmp_path / "array.npy", noise(0, 9, 5, 5))
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
        archive.writestr("images", "no array")
    for name in ("array.npy", "text.npz"):
        with pytest.raises(DataError, match="write"):
            open_dataset(f"npz:{tmp_path / name}")
    for number, cut in enumerate((whole.read_bytes()[:3000], b"no archive", b"")):
        path = tmp_path / f"{number}.npz"
        path.write_bytes(cut)
        with pytest.raises(DataError, match="cannot be read as an .npz file"):
            open_dataset(f"npz:{path}")

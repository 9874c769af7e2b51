"""Folders as version 0.1.0 read them, against pixels that the tests write."""

import functools

import numpy as np
import pytest
from PIL import Image

from pixelprior.data import DataError, open_dataset
from pixelprior.data.resize import cover_and_crop

open_old = functools.partial(open_dataset, reading=1)


def _save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def _noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def _examples(dataset):
    return [split.source[i] for split in dataset.splits.values() for i in range(len(split))]


def _contents(dataset):
    return sorted((e["image"].tobytes(), e["label"]) for e in _examples(dataset))


def test_grey_images_without_classes(tmp_path):
    images = [_noise(seed, 5, 7) for seed in range(20)]
    for i, image in enumerate(images):
        _save(tmp_path / f"{i:02}.{'PNG' if i % 2 else 'bmp'}", image)
    (tmp_path / "notes.txt").write_text("not an image, and none of our business")
    dataset = open_old(f"folder:{tmp_path}")
    assert dataset.shape == (5, 7, 1)
    assert dataset.native_levels == 256
    assert dataset.class_names == ()
    assert dataset.note == ""
    assert [len(split) for split in dataset.splits.values()] == [16, 2, 2]
    assert dataset.splits["test"].description == "2 of 20, fixed permutation"
    assert _contents(dataset) == sorted((image.tobytes(), 0) for image in images)


def test_sub_folders_are_classes_in_the_order_of_their_names(tmp_path):
    expected = []
    for label, name in enumerate(("ant", "bee", "cat")):
        for i in range(4):
            image = _noise(10 * label + i, 6, 4, 3)
            _save(tmp_path / name / f"{i}.png", image)
            expected.append((image.tobytes(), label))
    dataset = open_old(f"folder:{tmp_path}")
    assert dataset.shape == (6, 4, 3)
    assert dataset.class_names == ("ant", "bee", "cat")
    assert _contents(dataset) == sorted(expected)


def test_opening_twice_gives_the_same_order(tmp_path):
    for i in range(12):
        _save(tmp_path / f"{i}.png", _noise(i, 3, 3))
    first, second = (_examples(open_old(f"folder:{tmp_path}")) for _ in range(2))
    for ours, theirs in zip(first, second, strict=True):
        np.testing.assert_array_equal(ours["image"], theirs["image"])


def test_one_colour_image_makes_all_of_them_colour(tmp_path):
    grey = [_noise(i, 4, 4) for i in range(3)]
    for i, image in enumerate(grey):
        _save(tmp_path / f"{i}.png", image)
    colour = _noise(3, 4, 4, 4)  # its alpha is dropped
    _save(tmp_path / "3.png", colour)
    dataset = open_old(f"folder:{tmp_path}")
    assert dataset.channels == 3
    expected = [np.repeat(image[..., None], 3, axis=-1).tobytes() for image in grey]
    assert [image for image, _ in _contents(dataset)] == sorted(
        [*expected, colour[..., :3].tobytes()]
    )


def test_first_picture_of_an_animation(tmp_path):
    for i in range(3):
        frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (10 + i, 200)]
        frames[0].save(tmp_path / f"{i}.gif", save_all=True, append_images=frames[1:])
    values = {
        int(value)
        for e in _examples(open_old(f"folder:{tmp_path}"))
        for value in np.unique(e["image"])
    }
    assert values == {10, 11, 12}


def test_links_and_hidden_files_are_passed_over(tmp_path):
    outside = tmp_path / "outside.png"
    _save(outside, _noise(9, 8, 8, 3))
    folder = tmp_path / "images"
    for i in range(3):
        _save(folder / f"{i}.png", _noise(i, 4, 4))
    _save(folder / ".thumbnails" / "0.png", _noise(0, 2, 2))
    (folder / "link.png").symlink_to(outside)
    (folder / "folder_link").symlink_to(tmp_path)
    dataset = open_old(f"folder:{folder}")
    assert dataset.shape == (4, 4, 1)
    assert len(_examples(dataset)) == 3


def test_image_size_resizes_and_crops_and_says_so(tmp_path):
    for i in range(3):
        _save(tmp_path / f"{i}.png", _noise(i, 8 + i, 12, 3))
    dataset = open_old(f"folder:{tmp_path}", image_size=(4, 6))
    assert dataset.shape == (4, 6, 3)
    assert dataset.note == "resized and centre-cropped to 4 x 6"
    assert all(example["image"].shape == (4, 6, 3) for example in _examples(dataset))


@pytest.mark.parametrize("channels", [1, 3])
def test_cover_and_crop_takes_the_centre(channels):
    # 4 x 12, three squares: only the middle one is in a centred square crop.
    image = np.repeat([[10] * 4 + [120] * 4 + [250] * 4], 4, axis=0).astype(np.uint8)
    image = np.repeat(image[..., None], channels, axis=-1)
    same = cover_and_crop(image, 4, 4)
    np.testing.assert_array_equal(same, np.full((4, 4, channels), 120))
    np.testing.assert_array_equal(cover_and_crop(image.transpose(1, 0, 2), 4, 4), same)
    assert cover_and_crop(image, 4, 12) is image
    larger = cover_and_crop(image, 8, 24)  # rows are equal, and the order of the squares is kept
    assert larger.shape == (8, 24, channels)
    assert [int(larger[0, j, 0]) for j in (0, 12, 23)] == pytest.approx([10, 120, 250], abs=6)


def test_shrinking_averages_rather_than_picks():
    stripes = np.zeros((32, 32, 1), np.uint8)
    stripes[:, ::2] = 200
    # Away from the edges every window holds as much light as dark.
    assert cover_and_crop(stripes, 8, 8)[:, 2:-2] == pytest.approx(100, abs=3)


def test_odd_sizes_stay_within_bounds():
    for height, width, to_height, to_width in ((7, 31, 5, 3), (33, 17, 32, 32), (3, 10, 11, 7)):
        resized = cover_and_crop(np.full((height, width, 3), 77, np.uint8), to_height, to_width)
        np.testing.assert_array_equal(resized, np.full((to_height, to_width, 3), 77))


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(DataError, match="expected a folder of images .*nowhere"):
        open_old(f"folder:{tmp_path}/nowhere")
    with pytest.raises(DataError, match="expected a folder of images"):
        open_old("folder:")
    with pytest.raises(DataError, match="holds no images: expected plain files ending in .png"):
        open_old(f"folder:{tmp_path}")


def test_too_few_images(tmp_path):
    _save(tmp_path / "0.png", _noise(0, 4, 4))
    with pytest.raises(DataError, match="at least 3 images, one for each split, got 1"):
        open_old(f"folder:{tmp_path}")


def test_images_beside_classes(tmp_path):
    _save(tmp_path / "stray.png", _noise(0, 4, 4))
    _save(tmp_path / "cat" / "0.png", _noise(0, 4, 4))
    with pytest.raises(DataError, match=r"both images \(stray.png\) and sub-folders \(cat\)"):
        open_old(f"folder:{tmp_path}")


def test_folders_within_classes_and_empty_classes(tmp_path):
    _save(tmp_path / "cat" / "0.png", _noise(0, 4, 4))
    (tmp_path / "dog").mkdir()
    with pytest.raises(DataError, match="dog should be a class but holds no images"):
        open_old(f"folder:{tmp_path}")
    _save(tmp_path / "cat" / "wild" / "1.png", _noise(0, 4, 4))
    with pytest.raises(DataError, match="wild is a folder within a class"):
        open_old(f"folder:{tmp_path}")


def test_sizes_that_differ(tmp_path):
    for i in range(3):
        _save(tmp_path / f"{i}.png", _noise(i, 4, 5))
    _save(tmp_path / "wide.png", _noise(0, 4, 9))
    with pytest.raises(DataError, match=r"0\.png is 4 x 5 .*wide\.png is 4 x 9 .*set image_size"):
        open_old(f"folder:{tmp_path}")


def test_a_broken_header_is_found_when_opened(tmp_path):
    for i in range(3):
        _save(tmp_path / f"{i}.png", _noise(i, 4, 4))
    (tmp_path / "broken.jpg").write_bytes(b"no image at all")
    with pytest.raises(DataError, match=r"broken\.jpg cannot be read as an image"):
        open_old(f"folder:{tmp_path}")


def test_broken_pixels_are_found_when_read(tmp_path):
    for i in range(4):
        path = tmp_path / f"{i}.png"
        _save(path, _noise(i, 32, 32))
        path.write_bytes(path.read_bytes()[:200])
    dataset = open_old(f"folder:{tmp_path}")
    with pytest.raises(DataError, match=r"\d\.png cannot be read as an image .*truncated"):
        dataset.splits["train"].source[0]


def test_more_than_8_bits(tmp_path):
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match=r"deep\.png has more than 8 bits"):
        open_old(f"folder:{tmp_path}")

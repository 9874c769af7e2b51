"""Attributes of images: from arrays, ``attributes.csv`` and TFDS, against what the tests wrote."""

import hashlib

import numpy as np
import pytest
import tensorflow_datasets as tfds

from pixelprior.data import (
    DataError,
    Split,
    Symbols,
    evaluation_batches,
    open_dataset,
    training_batch,
)
from pixelprior.data.attributes import as_attributes
from pixelprior.data.decode_once import DecodeOnce
from pixelprior.experiment import open_data, reopen_data
from pixelprior.experiment.recipes import load_recipe
from pixelprior.progress import Caution
from tests.data.folders import SMALL, noise, save, small_folder
from tests.data.test_tfds import _png, _prepare

F = tfds.features


def found(dataset):
    """The attributes of all images, by their pixels."""
    return {
        split.source[index]["image"].tobytes(): split.source.attributes([index])[0].tolist()
        for split in dataset.splits.values()
        for index in range(len(split))
    }


def npz(path, count=20, **arrays):
    images = noise(0, count, 5, 4, 3)
    np.savez(path / "a.npz", images=images, **arrays)
    return f"npz:{path / 'a.npz'}", images


def numbers(count, k=2):
    return np.random.default_rng(1).normal(size=(count, k)).astype(np.float32)


# Arrays.


def test_attributes_of_npz_files_follow_their_images_into_the_splits(tmp_path):
    values, names = numbers(20), np.array(["slant", "ink"])
    name, images = npz(tmp_path, attributes=values, attribute_names=names)
    dataset = open_dataset(name, attributes=True)
    assert dataset.attribute_names == ("slant", "ink")
    expected = {image.tobytes(): row.tolist() for image, row in zip(images, values, strict=True)}
    assert found(dataset) == expected
    # Without the request they are not there, and the images are the same ones.
    plain = open_dataset(name)
    assert plain.attribute_names == () and plain.attribute_contents == ""
    assert plain.contents == dataset.contents
    assert "attributes" not in next(evaluation_batches(plain.splits["test"], BYTES, batch_size=2))


BYTES = Symbols(256, "none")


def test_batches_have_the_attributes_of_their_images(tmp_path):
    values = numbers(20)
    name, images = npz(tmp_path, attributes=values, labels=np.arange(20))
    split = open_dataset(name, attributes=True).splits["train"]
    batch = training_batch(split, BYTES, batch_size=30, seed=0, step=0)
    assert batch["attributes"].dtype == np.float32
    np.testing.assert_array_equal(batch["attributes"], values[batch["label"]])
    np.testing.assert_array_equal(batch["image"], images[batch["label"]])
    rows = np.array([3, 1])
    part = training_batch(split, BYTES, batch_size=30, seed=0, step=0, rows=rows)
    np.testing.assert_array_equal(part["attributes"], batch["attributes"][rows])
    for one in evaluation_batches(split, BYTES, batch_size=4):
        np.testing.assert_array_equal(one["attributes"], values[one["label"]])


@pytest.mark.parametrize("kind", [bool, np.int8, np.uint16, np.float16, np.float64])
def test_numbers_of_every_type_become_float32_and_get_numbers_as_names(tmp_path, kind):
    values = (np.arange(40).reshape(20, 2) % 3).astype(kind)
    dataset = open_dataset(npz(tmp_path, attributes=values)[0], attributes=True)
    assert dataset.attribute_names == ("0", "1")
    together = dataset.splits["train"].source.attributes(np.arange(3))
    assert together.dtype == np.float32 and set(together.ravel()) <= {0.0, 1.0, 2.0}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "has no array 'attributes' .*; add it, or set"),
        ({"attributes": numbers(19)}, r"\[20, k\], one row for each image, got shape \[19, 2\]"),
        ({"attributes": numbers(20)[:, 0]}, r"got shape \[20\]; attributes\[:, None\] makes"),
        ({"attributes": numbers(20, 0)}, r"got shape \[20, 0\]"),
        ({"attributes": np.full((20, 2), "old")}, "real numbers, got <U3; write text and"),
        ({"attributes": np.full((20, 2), 1j)}, "real numbers, got complex128"),
        ({"attributes": np.full((20, 2), None, object)}, "cannot be read as an .npz file"),
        (
            {"attributes": np.where(np.arange(40).reshape(20, 2) == 7, np.nan, 0)},
            "attribute '1' of image 3 is nan, which is no finite number; give a number",
        ),
        ({"attributes": np.full((20, 1), 1e60)}, "attribute '0' of image 0 is 1e.60, which is"),
        (
            {"attributes": numbers(20), "attribute_names": np.array(["a"])},
            "expected 2 names of attributes, got 1",
        ),
        (
            {"attributes": numbers(20), "attribute_names": np.array(["a", "a"])},
            "two attributes have the name a; rename",
        ),
        (
            {"attributes": numbers(20), "attribute_names": np.array(["a=b", "c"])},
            "names of attributes must be words without ',' and '=', got 'a=b'",
        ),
        (
            {"attributes": numbers(20), "attribute_names": np.arange(2)},
            r"attribute_names must be an array of text, .* got int64 of shape \[2\]",
        ),
    ],
)
def test_arrays_that_are_no_attributes_are_refused(tmp_path, arrays, message):
    name, _ = npz(tmp_path, **arrays)
    with pytest.raises(DataError, match=message):
        open_dataset(name, attributes=True)


def test_large_numbers_are_reported(tmp_path):
    told = []
    values = numbers(20) * [1, 1000]
    name, _ = npz(tmp_path, attributes=values, attribute_names=np.array(["slant", "age"]))
    open_dataset(name, attributes=True, report=told.append)
    [caution] = [event.text for event in told if isinstance(event, Caution)]
    assert "standardise age (up to " in caution and "slant" not in caution


def test_a_run_finds_its_attributes_again_and_refuses_others(tmp_path):
    name, _ = npz(tmp_path, attributes=numbers(20))
    config = load_recipe("digits") | {"dataset": name, "levels": 256, "attribute_conditional": True}
    dataset, symbols, _ = open_data(config)
    facts = {
        "shape": dataset.shape,
        "levels": symbols.levels,
        "class_names": dataset.class_names,
        "splits": {split: {"images": len(x)} for split, x in dataset.splits.items()},
        "contents": dataset.contents,
        "reading": dataset.reading,
        "attribute_names": dataset.attribute_names,
        "attribute_contents": dataset.attribute_contents,
    }
    again, _ = reopen_data(config, facts, None)
    assert found(again) == found(dataset)
    npz(tmp_path, attributes=numbers(20) + 1)
    with pytest.raises(ValueError, match="the content of the attributes was"):
        reopen_data(config, facts, None)
    npz(tmp_path, attributes=numbers(20), attribute_names=np.array(["a", "b"]))
    with pytest.raises(ValueError, match=r"the list of attributes was \['0', '1'\], and is now"):
        reopen_data(config, facts, None)
    # A run without attributes on the same images does not look at them.
    plain = {"attribute_names": [], "attribute_contents": ""}
    config["attribute_conditional"] = False
    reopen_data(config, facts | plain, None)
    # Its prior may take them.
    opened, _ = reopen_data(config, facts | plain, None, new_attributes=True)
    assert opened.attribute_names == ("a", "b")
    assert found(opened) == found(dataset)


class Counted:
    """Images of one attribute, their number; the last one is not finite."""

    def __init__(self, count):
        self.reads = np.zeros(count, int)

    def __len__(self):
        return len(self.reads)

    def __getitem__(self, index):
        self.reads[index] += 1
        number = np.float32(index if index < len(self) - 1 else np.inf)
        image = np.full((2, 2, 1), index, np.uint8)
        return {"image": image, "label": 0, "attributes": np.array([number])}


def test_attributes_are_kept_beyond_the_memory_for_images():
    source = Counted(6)
    once = DecodeOnce(source, (2, 2, 1), kept_bytes=8, num_attributes=1)
    once.read([0, 4])
    np.testing.assert_array_equal(once.attributes([4, 0, 3]), [[4], [0], [3]])
    np.testing.assert_array_equal(once.attributes([3, 3]), [[3], [3]])
    assert source.reads.tolist() == [1, 0, 0, 1, 1, 0]
    with pytest.raises(DataError, match="image 5 has an attribute that is no finite number"):
        once.read([5])


def test_the_first_images_of_a_split_have_their_attributes():
    split = Split("test", DecodeOnce(Counted(6), (2, 2, 1), num_attributes=1), 256, "counted")
    [batch] = evaluation_batches(split.first(3), Symbols(256, "none"), batch_size=4)
    np.testing.assert_array_equal(batch["attributes"], [[0], [1], [2], [0]])


def test_digits_have_none():
    with pytest.raises(DataError, match="digits has no attributes"):
        open_dataset("digits", attributes=True)


# Folders.

HEADER = "file,smiling,age"


def write(root, lines):
    (root / "attributes.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def rows(names):
    return [f"{name},{number % 2},{number / 10}" for number, name in enumerate(names)]


def test_attributes_of_folders(tmp_path):
    images = small_folder(tmp_path, 4, 5)
    write(tmp_path, [HEADER, *reversed(rows(SMALL)), ""])
    told = []
    dataset = open_dataset(f"folder:{tmp_path}", attributes=True, report=told.append)
    assert not [event for event in told if "passed over" in getattr(event, "text", "")]
    assert dataset.attribute_names == ("smiling", "age")
    expected = {
        pixels.tobytes(): [np.float32(n % 2), np.float32(n / 10)]
        for n, pixels in enumerate(images.values())
    }
    assert found(dataset) == expected
    assert open_dataset(f"folder:{tmp_path}").contents == dataset.contents


def test_attributes_of_a_run_are_those_of_its_files(tmp_path):
    small_folder(tmp_path, 4, 5)
    write(tmp_path, [HEADER, *rows(SMALL)])
    dataset = open_dataset(f"folder:{tmp_path}", attributes=True)
    # A new file and its row are no part of the run, and a lost file does not move the others.
    save(tmp_path / "new.png", noise(99, 4, 5))
    write(tmp_path, [HEADER, *rows(SMALL), "new.png,1,1"])
    lost = next(iter(dataset.manifest.splits["train"]))
    (tmp_path / lost).unlink()
    again = open_dataset(f"folder:{tmp_path}", attributes=True, manifest=dataset.manifest)
    assert again.attribute_contents == dataset.attribute_contents
    before = found(dataset.__class__(dataset.name, {"test": dataset.splits["test"]}))
    assert before == found(again.__class__(again.name, {"test": again.splits["test"]}))
    assert len(again.splits["train"]) == len(dataset.manifest.splits["train"]) - 1
    write(tmp_path, [HEADER, *rows(SMALL[::-1])])
    moved = open_dataset(f"folder:{tmp_path}", attributes=True, manifest=dataset.manifest)
    assert moved.attribute_contents != dataset.attribute_contents


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (None, "there is no file .*attributes.csv; write it with a first line"),
        ([], "the first line of .* must name the columns"),
        (["file", *SMALL], "the first line of .* must name the columns, .* got 'file'"),
        (["file,a,a", *rows(SMALL)], "two attributes have the name a"),
        (["file,,a", *rows(SMALL)], "must be words without"),
        ([HEADER, *rows(SMALL)[1:]], f"no row for 1 image: {SMALL[0]}; add"),
        ([HEADER, *rows(SMALL), "gone.png,1,2"], "rows for 1 file that .* gone.png; remove"),
        ([HEADER, *rows(SMALL), f"{SMALL[2]},1,2"], f"two rows for {SMALL[2]}; remove one"),
        ([HEADER, f"{SMALL[0]},1", *rows(SMALL)[1:]], "line 2 of .* must have 3 columns, got 2"),
        ([HEADER, f"{SMALL[0]},old,1", *rows(SMALL)[1:]], f"smiling of {SMALL[0]} .* got 'old'"),
        ([HEADER, f"{SMALL[0]},,1", *rows(SMALL)[1:]], "must be a finite number, got ''"),
        ([HEADER, f"{SMALL[0]},1,nan", *rows(SMALL)[1:]], f"age of {SMALL[0]} .* got 'nan'"),
        ([HEADER, f'"{SMALL[0]},1,2', *rows(SMALL)[1:]], "cannot be read as text in UTF-8 with"),
    ],
)
def test_tables_that_do_not_fit_a_folder_are_refused(tmp_path, lines, message):
    small_folder(tmp_path, 4, 5)
    if lines is not None:
        write(tmp_path, lines)
    with pytest.raises(DataError, match=message):
        open_dataset(f"folder:{tmp_path}", attributes=True)


def test_a_table_that_is_no_text_is_refused(tmp_path):
    small_folder(tmp_path, 4, 5)
    (tmp_path / "attributes.csv").write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(DataError, match="cannot be read as text in UTF-8"):
        open_dataset(f"folder:{tmp_path}", attributes=True)


# TFDS.


def tiny_tfds(folder, feature, attributes):
    images = noise(0, len(attributes), 6, 5, 3)
    examples = [
        {"image": _png(image), "attributes": row}
        for image, row in zip(images, attributes, strict=True)
    ]
    _prepare(
        folder, {"image": F.Image(shape=(6, 5, 3)), "attributes": feature}, {"train": examples}
    )
    return images


def test_booleans_as_in_celeb_a(tmp_path):
    names = ["Young", "Bald", "5_o_Clock_Shadow"]
    values = np.random.default_rng(0).integers(0, 2, (20, 3)).astype(bool)
    rows = [dict(zip(names, map(bool, row), strict=True)) for row in values]
    images = tiny_tfds(tmp_path, {name: np.bool_ for name in names}, rows)
    dataset = open_dataset("tiny", data_dir=tmp_path, attributes=True)
    assert dataset.attribute_names == ("5_o_Clock_Shadow", "Bald", "Young")
    expected = {
        image.tobytes(): row[::-1].astype(float).tolist()
        for image, row in zip(images, values, strict=True)
    }
    assert found(dataset) == expected
    assert dataset.attribute_contents == "tiny:1.0.0"


def test_vectors_resized_with_their_images(tmp_path):
    values = numbers(20, 3)
    tiny_tfds(tmp_path, F.Tensor(shape=(3,), dtype=np.float32), list(values))
    dataset = open_dataset("tiny", data_dir=tmp_path, attributes=True, image_size=(3, 3))
    assert dataset.attribute_names == ("0", "1", "2")
    read = [split.source.attributes(np.arange(len(split))) for split in dataset.splits.values()]
    np.testing.assert_array_equal(np.concatenate(read), values)


@pytest.mark.parametrize(
    ("feature", "value", "message"),
    [
        (F.Text(), "old", "must be a dictionary of numbers, or a vector"),
        ({"a": F.Text()}, {"a": "old"}, "must be numbers, but these are not: a"),
        ({"a": F.ClassLabel(num_classes=3)}, {"a": 1}, "must be numbers, but these are not: a"),
    ],
)
def test_features_that_are_no_numbers_are_refused(tmp_path, feature, value, message):
    tiny_tfds(tmp_path, feature, [value] * 10)
    with pytest.raises(DataError, match=message):
        open_dataset("tiny", data_dir=tmp_path, attributes=True)


def test_data_without_the_feature_are_refused(tmp_path):
    examples = [{"image": _png(image)} for image in noise(0, 10, 4, 4, 3)]
    _prepare(tmp_path, {"image": F.Image(shape=(4, 4, 3))}, {"train": examples})
    with pytest.raises(DataError, match="tiny has no feature 'attributes', only image; set"):
        open_dataset("tiny", data_dir=tmp_path, attributes=True)


def test_the_hash_of_attributes_stays_the_same():
    # Kept in run folders: another hash would refuse their data.
    made = as_attributes(np.array([[0.5, 2.0]]), ["a", "b"], 1)
    digest = hashlib.sha256(b"a\0b" + np.array([0.5, 2.0], "<f4").tobytes())
    assert made.contents == digest.hexdigest()[:12]

"""TFDS: small data sets prepared by the tests, and the real ones where they have been prepared."""

import io
import json
import os
import shlex
import zlib

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from pixelprior.data import DataError, open_dataset

F = tfds.features
LABEL = F.ClassLabel(names=["ant", "bee"])


def _png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def _examples(count, *shape, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.uint8)
    return [{"image": _png(image), "label": i % 2} for i, image in enumerate(pixels)], pixels


def _prepare(folder, features, splits):
    """Writes a data set called "tiny", in the order given."""

    class Tiny(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self, features=F.FeaturesDict(features), disable_shuffling=True
            )

        def _split_generators(self, dl_manager):
            return {name: enumerate(examples) for name, examples in splits.items()}

        def _generate_examples(self):
            raise NotImplementedError

    Tiny(data_dir=folder, file_format="array_record").download_and_prepare()


def _read(split):
    return split.source.read(np.arange(len(split)))


def test_pixels_labels_and_the_end_of_train_for_validation(tmp_path):
    train, pixels = _examples(20, 6, 5, 3)
    test, test_pixels = _examples(4, 6, 5, 3, seed=1)
    features = {"image": F.Image(shape=(6, 5, 3)), "label": LABEL}
    _prepare(tmp_path, features, {"train": train, "test": test})
    dataset = open_dataset("tiny", validation_fraction=0.25, data_dir=tmp_path)
    assert dataset.shape == (6, 5, 3)
    assert dataset.class_names == ("ant", "bee")
    assert (dataset.native_levels, dataset.note) == (256, "")
    assert {name: split.description for name, split in dataset.splits.items()} == {
        "train": "train[:15]",
        "validation": "train[15:]",
        "test": "test",
    }
    expected = {"train": pixels[:15], "validation": pixels[15:], "test": test_pixels}
    for name, split in dataset.splits.items():
        images, labels = _read(split)
        np.testing.assert_array_equal(images, expected[name])
        start = 15 if name == "validation" else 0
        np.testing.assert_array_equal(labels, (start + np.arange(len(split))) % 2)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (["train", "validation", "test"], ["train", "validation", "test"]),
        (["train", "validation"], ["train[:18]", "train[18:]", "validation"]),
        (["train"], ["train[:16]", "train[16:18]", "train[18:]"]),
    ],
)
def test_which_splits_are_used(tmp_path, stored, expected):
    examples, pixels = _examples(20, 4, 4)
    features = {"image": F.Image(shape=(4, 4, 1)), "label": LABEL}
    _prepare(tmp_path, features, dict.fromkeys(stored, examples))
    dataset = open_dataset("tiny", data_dir=tmp_path)
    assert [split.description for split in dataset.splits.values()] == expected
    if stored == ["train"]:
        together = np.concatenate([_read(split)[0] for split in dataset.splits.values()])
        np.testing.assert_array_equal(together[..., 0], pixels)


def test_alpha_is_composited_on_white_and_labels_may_be_missing(tmp_path):
    examples, pixels = _examples(10, 4, 4, 4)
    for example in examples:
        del example["label"]
    _prepare(tmp_path, {"image": F.Image(shape=(4, 4, 4))}, {"train": examples})
    dataset = open_dataset("tiny", data_dir=tmp_path)
    assert dataset.shape == (4, 4, 3)
    assert dataset.class_names == ()
    images, labels = _read(dataset.splits["train"])
    colour, alpha = pixels[:8, ..., :3].astype(float), pixels[:8, ..., 3:] / 255
    expected = np.rint(colour * alpha + 255 * (1 - alpha))
    np.testing.assert_array_equal(images, expected)
    assert not labels.any()
    # Runs of version 0.1.0 dropped it.
    old, _ = _read(open_dataset("tiny", data_dir=tmp_path, reading=1).splits["train"])
    np.testing.assert_array_equal(old, pixels[:8, ..., :3])


def test_pixels_0_and_1_become_black_and_white(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 2, (10, 4, 4, 1)).astype(np.uint8)
    examples = [{"image": _png(image[..., 0]), "label": 0} for image in pixels]
    _prepare(tmp_path, {"image": F.Image(shape=(4, 4, 1)), "label": LABEL}, {"train": examples})
    dataset = open_dataset("tiny", data_dir=tmp_path)
    assert dataset.note == "pixels 0 and 1 scaled to 0 and 255"
    images, _ = _read(dataset.splits["train"])
    np.testing.assert_array_equal(images, pixels[:8] * 255)
    old = open_dataset("tiny", data_dir=tmp_path, reading=1)
    assert old.note == "" and old.contents == "" and dataset.contents == "tiny:1.0.0"
    np.testing.assert_array_equal(_read(old.splits["train"])[0], pixels[:8])


def test_sizes_that_differ_need_an_image_size(tmp_path):
    examples = [_examples(1, 4 + i, 6, 3)[0][0] for i in range(5)]
    _prepare(tmp_path, {"image": F.Image(), "label": LABEL}, {"train": examples})
    with pytest.raises(DataError, match="images of tiny differ in size; set image_size"):
        open_dataset("tiny", data_dir=tmp_path)
    dataset = open_dataset("tiny", image_size=(3, 2), data_dir=tmp_path)
    assert dataset.shape == _read(dataset.splits["train"])[0].shape[1:] == (3, 2, 3)
    assert dataset.note == "resized and centre-cropped to 3 x 2"


@pytest.mark.parametrize(
    ("features", "example", "message"),
    [
        ({"number": F.Scalar(np.int64)}, {"number": 1}, "no feature 'image' .*only number"),
        (
            {"image": F.Image(shape=(2, 2, 1), dtype=np.uint16)},
            {"image": _png(np.zeros((2, 2), np.uint16))},
            "8 bits and 1, 3 or 4 channels, but those of tiny are uint16 with 1",
        ),
    ],
)
def test_data_without_usable_images(tmp_path, features, example, message):
    _prepare(tmp_path, features, {"train": [example] * 4})
    with pytest.raises(DataError, match=message):
        open_dataset("tiny", data_dir=tmp_path)


def test_data_without_a_train_split(tmp_path):
    examples, _ = _examples(4, 4, 4)
    features = {"image": F.Image(shape=(4, 4, 1)), "label": LABEL}
    _prepare(tmp_path, features, {"test": examples})
    with pytest.raises(DataError, match="tiny has no train split, only test"):
        open_dataset("tiny", data_dir=tmp_path)


def test_another_format(tmp_path):
    examples, _ = _examples(4, 4, 4)
    features = {"image": F.Image(shape=(4, 4, 1)), "label": LABEL}
    _prepare(tmp_path, features, {"train": examples})
    info = tmp_path / "tiny" / "1.0.0" / "dataset_info.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"fileFormat": "tfrecord"}))
    with pytest.raises(DataError, match="another format than array_record"):
        open_dataset("tiny", data_dir=tmp_path)


def test_data_that_is_not_there_is_not_fetched(tmp_path, monkeypatch):
    def fetch(*_, **__):
        raise AssertionError("went to the network")

    monkeypatch.setattr("socket.socket.connect", fetch)
    with pytest.raises(DataError, match=f"mnist is not in {tmp_path}") as error:
        open_dataset("mnist", data_dir=tmp_path)
    # The command is one that can be run as it stands.
    python, flag, program = shlex.split(str(error.value).split("downloads it: ")[1])
    assert (python, flag) == ("python", "-c")
    compile(program, "command", "exec")
    assert str(tmp_path) in program and "file_format='array_record'" in program
    assert not any(tmp_path.iterdir())


def test_the_environment_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(DataError, match=f"mnist is not in {tmp_path}"):
        open_dataset("mnist")


def test_unknown_names(tmp_path):
    with pytest.raises(DataError, match="did you mean .*fashion_mnist") as error:
        open_dataset("fashion_mnits", data_dir=tmp_path)
    assert "folder:/path" in str(error.value) and len(str(error.value)) < 400
    for name in ("", "../mnist", "huggingface:mnist", "no such thing"):
        with pytest.raises(DataError, match="no data set is called"):
            open_dataset(name, data_dir=tmp_path)


SIZES = {
    "mnist": ((28, 28, 1), (54_000, 6_000, 10_000)),
    "fashion_mnist": ((28, 28, 1), (54_000, 6_000, 10_000)),
    "cifar10": ((32, 32, 3), (45_000, 5_000, 10_000)),
}
# In TFDS's own order: the labels of the first eight test images, and the CRC-32 of the pixels of
# the first four. CIFAR-10 has none here, since copies of it differ.
BEGINNINGS = {
    "mnist": ([2, 0, 4, 8, 7, 6, 0, 6], 0xAC5B7635),
    "fashion_mnist": ([4, 4, 9, 7, 5, 1, 0, 5], 0xA9D493EE),
}


def _open_real(name):
    if "TFDS_DATA_DIR" not in os.environ:
        pytest.skip("TFDS_DATA_DIR is not set")
    if not os.path.isdir(os.path.join(os.environ["TFDS_DATA_DIR"], name)):
        pytest.skip(f"{name} is not in TFDS_DATA_DIR")
    return open_dataset(name)


@pytest.mark.parametrize("name", SIZES)
def test_real_data_is_what_tfds_gives(name):
    dataset = _open_real(name)
    assert (dataset.shape, tuple(map(len, dataset.splits.values()))) == SIZES[name]
    assert len(dataset.class_names) == 10
    for split in dataset.splits.values():
        theirs = tfds.data_source(name, split=split.description)
        for index in (0, 1234, len(theirs) - 1):
            ours = split.source[index]
            np.testing.assert_array_equal(ours["image"], theirs[index]["image"])
            assert ours["label"] == theirs[index]["label"]


@pytest.mark.parametrize("name", BEGINNINGS)
def test_real_data_begins_as_it_is_known_to(name):
    labels, crc = BEGINNINGS[name]
    test = _open_real(name).splits["test"].source
    assert test.read(range(8))[1].tolist() == labels
    assert zlib.crc32(test.read(range(4))[0].tobytes()) == crc

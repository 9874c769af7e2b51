"""A data set's own classifier: trained once, read again, and known by its fingerprint."""

import dataclasses

import numpy as np
import pytest

from pixelprior.data import open_dataset
from pixelprior.errors import InputError
from pixelprior.evaluation import classifier_features as module
from pixelprior.evaluation.classifier import train_classifier
from pixelprior.evaluation.classifier_features import classifier_extractor, open_classifier
from pixelprior.evaluation.read import read_shades
from pixelprior.system.console import Terminal


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def quick(monkeypatch, cache):
    """Trains in two steps, into a folder of this file's own; tells how often."""
    calls = []

    def train(*arguments):
        calls.append(arguments)
        return train_classifier(*arguments, num_steps=2)

    monkeypatch.setattr(module, "train_classifier", train)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return calls


@pytest.fixture(scope="module")
def dataset():
    return open_dataset("digits")


def images(dataset, num=40):
    return read_shades(dataset.splits["test"], module._stored(dataset), num)[0]


def test_it_is_trained_once(quick, dataset, cache, capsys):
    first = classifier_extractor(dataset, Terminal())
    assert len(quick) == 1 and "training the classifier of digits, once" in capsys.readouterr().err
    again = classifier_extractor(dataset, Terminal())
    assert len(quick) == 1 and capsys.readouterr().err == ""
    assert first.name == "classifier" and len(first.fingerprint) == 64
    assert again.fingerprint == first.fingerprint
    for a, b in zip(first.extract(images(dataset)), again.extract(images(dataset)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(list((cache / "pixelprior" / "classifiers").iterdir())) == 1
    # All training images, as they are stored.
    shown, labels, classes = quick[0]
    assert shown.dtype == np.uint8 and len(shown) == len(dataset.splits["train"])
    assert (shown.min(), shown.max(), classes) == (0, 255, 10) and set(labels) == set(range(10))


def test_features_and_logits(quick, dataset):
    classifier = open_classifier(dataset)
    found = classifier.extract(images(dataset, 300))  # a batch and a part of one
    assert found.vectors.shape == (300, 128) and found.logits.shape == (300, 10)
    one = classifier.extract(images(dataset, 300)[270:271])
    np.testing.assert_allclose(one.vectors[0], found.vectors[270], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(classifier.predict(images(dataset)), found.logits[:40].argmax(1))
    # The fingerprint is of the values in their order.
    assert found.fingerprint != found._replace(vectors=found.vectors[::-1]).fingerprint
    assert classifier.extract(images(dataset, 300)[:0]).vectors.shape == (0, 128)


@pytest.mark.parametrize("damage", ["cut", "other", "nothing"])
def test_a_damaged_one_is_made_again(quick, dataset, cache, damage, capsys):
    before = classifier_extractor(dataset).fingerprint
    [path] = (cache / "pixelprior" / "classifiers").iterdir()
    quick.clear()
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "other":
        np.savez(path, x=np.zeros(3))
    else:
        path.write_bytes(b"")
    assert classifier_extractor(dataset, Terminal()).fingerprint == before
    assert len(quick) == 1 and "cannot be read and is made again" in capsys.readouterr().err


def test_other_images_have_another_one(quick, dataset, cache):
    open_classifier(open_dataset("digits", validation_fraction=0.2))
    assert len(quick) == 1
    open_classifier(open_dataset("digits", validation_fraction=0.2))
    assert len(quick) == 1


class Altered:
    """The same images, but for some pixels of one, or for one label."""

    num_attributes = 0

    def __init__(self, source, what):
        self._source, self._what = source, what

    def __len__(self):
        return len(self._source)

    def read(self, indices):
        pixels, labels = (np.array(part) for part in self._source.read(indices))
        altered = np.asarray(indices) == 0
        if self._what == "pixels":
            pixels[altered] = 16 - pixels[altered]
        else:
            labels[altered] = (labels[altered] + 1) % 10
        return pixels, labels


@pytest.mark.parametrize("what", ["pixels", "labels"])
def test_other_images_of_the_same_description_are_told_apart(dataset, what):
    train = dataset.splits["train"]
    altered = dataclasses.replace(train, source=Altered(train.source, what))
    other = dataclasses.replace(dataset, splits={**dataset.splits, "train": altered})
    # Its shape is that of the source.
    altered.source.shape = train.source.shape
    assert module._recognise(dataset) == module._recognise(open_dataset("digits"))
    assert module._recognise(other) != module._recognise(dataset)


def test_without_classes_there_is_none(dataset):
    with pytest.raises(InputError, match="digits has no classes, .*use --features=inception"):
        open_classifier(dataclasses.replace(dataset, class_names=()))


def test_a_folder_that_cannot_be_written_is_no_reason_to_stop(quick, dataset, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/nowhere")
    assert open_classifier(dataset, Terminal()).num_classes == 10
    assert "the classifier cannot be kept" in capsys.readouterr().err

"""Batches: what is in them, in which order, and that it depends on (seed, step) alone."""

import itertools
import threading

import numpy as np
import pytest

from pixelprior.data import (
    START,
    DataError,
    Position,
    Split,
    Symbols,
    evaluation_batches,
    training_batch,
    training_batches,
)
from pixelprior.data.augmentation import Augmentation
from pixelprior.data.decode_once import DecodeOnce

SHAPE = (3, 4, 2)
BYTES = Symbols(256, "none")
MIRRORED = Augmentation(flip=True)


class Counting:
    """Image i holds the numbers from i on, and has label i; counts how often it is decoded."""

    def __init__(self, count, shape=SHAPE):
        self.reads = np.zeros(count, int)
        self._shape = shape

    def __len__(self):
        return len(self.reads)

    def __getitem__(self, index):
        self.reads[index] += 1
        pixels = index + np.arange(np.prod(self._shape))
        return {"image": pixels.reshape(self._shape).astype(np.uint8), "label": index}


def _split(count, name="train"):
    return Split(name, DecodeOnce(Counting(count), SHAPE), 256, "counting")


def _batch(count=10, **changed):
    arguments = {"batch_size": 4, "seed": 1, "step": 0} | changed
    symbols = arguments.pop("symbols", BYTES)
    return training_batch(_split(count), symbols, **arguments)


def _assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_a_batch_holds_the_images_of_its_labels():
    batch = _batch()
    assert batch["image"].shape == (4, *SHAPE)
    assert batch["image"].dtype == batch["label"].dtype == np.int32
    assert batch["image"].flags.c_contiguous
    expected = [np.arange(label, label + 24).reshape(SHAPE) for label in batch["label"]]
    np.testing.assert_array_equal(batch["image"], expected)


def test_every_epoch_sees_every_image_once_in_an_order_of_its_own():
    batches = itertools.islice(training_batches(_split(12), BYTES, batch_size=4, seed=5), 9)
    epochs = np.concatenate([batch["label"] for batch in batches]).reshape(3, 12)
    np.testing.assert_array_equal(np.sort(epochs), np.tile(np.arange(12), (3, 1)))
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_batches_run_on_across_epochs():
    batches = [_batch(count=3, batch_size=7, step=step)["label"] for step in range(3)]
    epochs = np.concatenate(batches).reshape(7, 3)
    np.testing.assert_array_equal(np.sort(epochs), np.tile(np.arange(3), (7, 1)))


@pytest.mark.parametrize("symbols", [BYTES, Symbols(2, "static"), Symbols(2, "dynamic")])
@pytest.mark.parametrize("start", [START, Position(5, 20)])
def test_batches_are_pure_functions_of_seed_and_step(symbols, start):
    arguments = {"batch_size": 4, "seed": 7, "augmentation": MIRRORED}
    resumed = training_batches(_split(10), symbols, start=start, **arguments)
    for step in range(start.step, start.step + 20):
        alone = training_batch(_split(10), symbols, step=step, **arguments)
        _assert_equal(next(resumed), alone)


ROWS = np.array([1, 2, 5])


@pytest.mark.parametrize("symbols", [BYTES, Symbols(2, "static"), Symbols(2, "dynamic")])
def test_some_rows_are_those_of_the_whole_batch_and_no_others_are_read(symbols):
    arguments = {"batch_size": 6, "seed": 7, "augmentation": MIRRORED, "step": 3}
    whole = training_batch(_split(50), symbols, **arguments)
    source = Counting(50)
    split = Split("train", DecodeOnce(source, SHAPE), 256, "counting")
    rows = training_batch(split, symbols, rows=ROWS, **arguments)
    _assert_equal(rows, {name: values[ROWS] for name, values in whole.items()})
    assert np.flatnonzero(source.reads).tolist() == sorted(whole["label"][ROWS])


def test_some_rows_of_every_evaluation_batch():
    wholes = evaluation_batches(_split(10), Symbols(2, "dynamic"), batch_size=6)
    parts = evaluation_batches(_split(10), Symbols(2, "dynamic"), batch_size=6, rows=ROWS)
    for whole, part in zip(wholes, parts, strict=True):
        _assert_equal(part, {name: values[ROWS] for name, values in whole.items()})
    assert part["mask"].tolist() == [True, True, False]


def test_seeds_change_order_and_flips():
    assert (_batch(count=100)["label"] != _batch(count=100, seed=2)["label"]).any()
    # One image, so all that can differ is which of its copies are flipped.
    one, other = (
        _batch(count=1, batch_size=64, seed=s, augmentation=MIRRORED)["image"] for s in (1, 2)
    )
    assert (one != other).any()


def test_flips_are_horizontal_and_half_of_all():
    plain = _batch(count=1, batch_size=400)["image"]
    flipped = _batch(count=1, batch_size=400, augmentation=MIRRORED)["image"]
    mirrored = (flipped == plain[:, :, ::-1]).all((1, 2, 3))
    unchanged = (flipped == plain).all((1, 2, 3))
    np.testing.assert_array_equal(mirrored, ~unchanged)
    assert 150 < mirrored.sum() < 250  # five standard deviations of 400 fair coins: 50


def test_a_static_image_is_the_same_in_every_epoch_and_a_dynamic_one_is_not():
    for binarisation, same in (("static", True), ("dynamic", False)):
        symbols = Symbols(2, binarisation)
        batches = [_batch(count=1, batch_size=1, symbols=symbols, step=s) for s in range(6)]
        assert (len({batch["image"].tobytes() for batch in batches}) == 1) == same


def test_evaluation_and_training_share_the_static_draw():
    static = Symbols(2, "static")
    batch = _batch(count=6, batch_size=6, symbols=static)
    [everything] = evaluation_batches(_split(6), static, batch_size=6)
    order = batch["label"]
    np.testing.assert_array_equal(batch["image"], everything["image"][order])


@pytest.mark.parametrize(("count", "batch_size", "batches"), [(10, 4, 3), (8, 4, 2), (3, 5, 1)])
def test_evaluation_sees_every_image_once_in_order(count, batch_size, batches):
    seen = list(evaluation_batches(_split(count), BYTES, batch_size=batch_size))
    assert len(seen) == batches
    for batch in seen:
        assert batch["image"].shape == (batch_size, *SHAPE)
        assert batch["label"].shape == batch["mask"].shape == (batch_size,)
        np.testing.assert_array_equal(batch["image"][:, 0, 0, 0], batch["label"])
    labels, mask = (np.concatenate([batch[name] for batch in seen]) for name in ("label", "mask"))
    assert labels[mask].tolist() == list(range(count))


def test_the_first_images_of_a_split():
    split = _split(10, "test")
    first = split.first(6)
    assert len(first) == 6 and first.name == "test"
    assert first.description == "the first 6 of counting"
    for symbols in (BYTES, Symbols(2, "static")):
        whole, part = (
            next(evaluation_batches(images, symbols, batch_size=6)) for images in (split, first)
        )
        _assert_equal(part, whole)
    assert split.first(10) is split and split.first(11) is split


def test_images_are_decoded_once():
    source = Counting(10)
    split = Split("test", DecodeOnce(source, SHAPE), 256, "counting")
    assert not source.reads.any()  # nothing is decoded before it is asked for
    first, second = (list(evaluation_batches(split, BYTES, batch_size=5)) for _ in range(2))
    for ours, theirs in zip(first, second, strict=True):
        _assert_equal(ours, theirs)
    assert (source.reads == 1).all()


def test_what_does_not_fit_is_decoded_again():
    source = Counting(10)
    once = DecodeOnce(source, SHAPE, kept_bytes=6 * 24)
    for _ in range(2):
        images, labels = once.read([9, 0, 5, 6])
        np.testing.assert_array_equal(images[:, 0, 0, 0], [9, 0, 5, 6])
        np.testing.assert_array_equal(labels, [9, 0, 5, 6])
    assert source.reads[[0, 5, 6, 9]].tolist() == [1, 1, 2, 2]


def test_what_is_read_is_the_readers_own():
    once = DecodeOnce(Counting(3), SHAPE)
    for _ in range(2):
        images, _ = once.read([1])
        assert images[0, 0, 0, 0] == 1
        images[:] = 99


def test_reading_from_many_threads():
    once = DecodeOnce(Counting(100), SHAPE)
    wrong = []

    def read(seed):
        for _ in range(50):
            indices = np.random.default_rng(seed).integers(0, 100, 16)
            images, labels = once.read(indices)
            if (images[:, 0, 0, 0] != indices).any() or (labels != indices).any():
                wrong.append(indices)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_image_of_another_shape_is_refused():
    once = DecodeOnce(Counting(3, shape=(3, 4, 1)), SHAPE)
    with pytest.raises(DataError, match=r"image 2 has shape \(3, 4, 1\), expected \(3, 4, 2\)"):
        once.read([2])
    with pytest.raises(IndexError):
        once[3]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 0}, "batch_size of at least 1, got 0"),
        ({"seed": -1}, "got seed=-1, step=0"),
        ({"step": -1}, "got seed=1, step=-1"),
    ],
)
def test_numbers_out_of_range(changed, message):
    with pytest.raises(DataError, match=message):
        _batch(**changed)


def test_too_many_levels_fail_before_the_first_batch():
    split = Split("test", DecodeOnce(Counting(3), SHAPE), 17, "counting")
    with pytest.raises(DataError, match="at most the 17 levels"):
        evaluation_batches(split, BYTES, batch_size=2)
    with pytest.raises(DataError, match="at most the 17 levels"):
        training_batches(split, BYTES, batch_size=2, seed=0)


def test_an_error_in_a_reading_thread_reaches_the_caller():
    split = Split("train", DecodeOnce(Counting(3, shape=(3, 4, 1)), SHAPE), 256, "counting")
    batches = training_batches(split, BYTES, batch_size=2, seed=0)
    with pytest.raises(DataError, match="has shape"):
        next(batches)

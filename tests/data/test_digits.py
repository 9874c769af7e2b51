"""scikit-learn's digits against scikit-learn itself, and the rules of holding images out."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pixelprior.data import DataError, open_dataset
from pixelprior.data.splits import permuted_splits


@pytest.fixture(scope="module")
def digits():
    return open_dataset("digits")


def _everything(split):
    return split.source.read(np.arange(len(split)))


def test_description(digits):
    assert (digits.height, digits.width, digits.channels) == (8, 8, 1)
    assert digits.native_levels == 17
    assert digits.class_names == tuple("0123456789")
    assert {name: len(split) for name, split in digits.splits.items()} == {
        "train": 1294,  # 1797 - 359 - 144
        "validation": 144,  # 10% of the other 1438
        "test": 359,  # 20% of 1797
    }
    assert digits.splits["train"].description == "1,294 of 1,797, fixed permutation"
    assert "20%" in digits.note


def test_the_splits_are_sklearns_images_each_once(digits):
    images, labels = map(
        np.concatenate, zip(*map(_everything, digits.splits.values()), strict=True)
    )
    assert images.dtype == np.uint8
    bunch = load_digits()
    ours = sorted(
        (*image.ravel().tolist(), label) for image, label in zip(images, labels, strict=True)
    )
    theirs = sorted(
        (*map(int, image.ravel()), label)
        for image, label in zip(bunch.images, bunch.target, strict=True)
    )
    assert ours == theirs


def test_the_permutation_never_changes(digits):
    bunch = load_digits()
    # The first three of NumPy's RandomState(0).permutation(1797), whose stream is frozen.
    for place, index in enumerate((1081, 1707, 927)):
        example = digits.splits["test"].source[place]
        np.testing.assert_array_equal(example["image"][..., 0], bunch.images[index])
        assert example["label"] == bunch.target[index]


def test_the_test_split_does_not_depend_on_the_validation_fraction(digits):
    other = open_dataset("digits", validation_fraction=0.5)
    assert len(other.splits["validation"]) == 719
    for ours, theirs in zip(
        _everything(digits.splits["test"]), _everything(other.splits["test"]), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_its_own_size_is_accepted_and_no_other():
    assert open_dataset("digits", image_size=(8, 8)).shape == (8, 8, 1)
    with pytest.raises(
        DataError, match=r"expected image_size \(0, 0\) or \(8, 8\), got \(16, 16\)"
    ):
        open_dataset("digits", image_size=(16, 16))


@pytest.mark.parametrize("fraction", [-0.1, 0.0, 1.0, float("nan")])
def test_validation_fraction_out_of_range(fraction):
    with pytest.raises(DataError, match="strictly between 0 and 1"):
        open_dataset("digits", validation_fraction=fraction)


@pytest.mark.parametrize("size", [(0, 8), (-1, -1), (8, 0)])
def test_image_size_out_of_range(size):
    with pytest.raises(DataError, match=r"positive \(height, width\)"):
        open_dataset("digits", image_size=size)


def test_splits_are_disjoint_cover_and_are_never_empty():
    for count in (3, 4, 10, 101):
        for fraction in (0.001, 0.5, 0.999):
            chosen = permuted_splits(count, test_fraction=0.2, validation_fraction=fraction)
            indices = [indices for indices, _ in chosen.values()]
            assert all(map(len, indices))
            assert sorted(np.concatenate(indices)) == list(range(count))
    with pytest.raises(DataError, match="at least 3 images"):
        permuted_splits(2, test_fraction=0.1, validation_fraction=0.1)

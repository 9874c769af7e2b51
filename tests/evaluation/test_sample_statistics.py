"""Statistics of images, against figures that can be worked out by hand."""

import math

import numpy as np
import pytest

from pixelprior.errors import InputError
from pixelprior.evaluation.sample_statistics import flags, histogram_distance, sample_statistics


def test_histograms_by_hand():
    images = np.array([[[0, 255], [255, 255]], [[0, 0], [7, 255]]], np.uint8)[..., None]
    found = sample_statistics(images)
    assert found.histogram.shape == (1, 256)
    assert found.histogram[0, [0, 7, 255]].tolist() == [3 / 8, 1 / 8, 4 / 8]
    assert found.histogram.sum() == 1
    other = sample_statistics(np.zeros((1, 2, 2, 1), np.uint8))
    assert histogram_distance(found, other) == pytest.approx(5 / 8)
    assert histogram_distance(found, found) == 0


def test_every_channel_counts():
    images = np.zeros((2, 3, 3, 3), np.uint8)
    images[..., 1] = 9
    other = sample_statistics(np.zeros((2, 3, 3, 3), np.uint8))
    assert histogram_distance(sample_statistics(images), other) == pytest.approx(1 / 3)


def test_correlations_of_neighbours():
    # Rows of one shade each: right neighbours are equal, those below of the other shade.
    stripes = np.zeros((1, 4, 5, 1), np.uint8)
    stripes[:, ::2] = 200
    found = sample_statistics(stripes)
    assert found.horizontal == pytest.approx([1.0]) and found.vertical == pytest.approx([-1.0])
    noise = np.random.default_rng(0).integers(0, 256, (50, 20, 20, 3), dtype=np.uint8)
    found = sample_statistics(noise)
    # Five standard errors of some 19,000 pairs.
    assert np.abs([*found.horizontal, *found.vertical]).max() < 5 / math.sqrt(19_000)
    x, y = (noise[:, :, part, 1].ravel() for part in (slice(-1), slice(1, None)))
    assert found.horizontal[1] == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert np.isnan(sample_statistics(np.zeros((2, 3, 3, 1), np.uint8)).horizontal).all()


def test_diversity_by_hand():
    images = np.zeros((2, 1, 2, 1), np.uint8)
    images[1, 0, 0] = 255
    # One pixel is 0 and 1, with a standard deviation of one half; the other never changes.
    assert sample_statistics(images).diversity == pytest.approx(0.25)


def test_what_is_wrong_at_first_sight():
    rng = np.random.default_rng(1)
    real = rng.integers(0, 256, (100, 4, 4, 3), dtype=np.uint8)
    samples = real.copy()
    samples[:10] = 5  # of a single colour, and nine of them repeat the first
    samples[50] = samples[51]
    found, usual = sample_statistics(samples), sample_statistics(real)
    assert (found.constant, found.repeated) == pytest.approx((0.1, 0.1))
    assert (usual.constant, usual.repeated) == (0, 0)
    assert flags(found, usual) == [
        "10.0% of the samples are of a single colour, but 0.0% of the real images",
        "10.0% of the samples repeat another one, but 0.0% of the real images",
    ]
    assert flags(usual, usual) == flags(found, found) == []
    # Each channel of one value is a single colour; one that varies is not.
    samples[0, 0, 0, 2] = 6
    assert sample_statistics(samples).constant == pytest.approx(0.09)


def test_images_are_needed():
    with pytest.raises(InputError, match=r"at least one image \[n, h, w, c\], got shape \(0, 2"):
        sample_statistics(np.zeros((0, 2, 2, 1), np.uint8))


def test_what_does_not_vary_has_no_correlation():
    # As JSON has it, which knows no NaN.
    statistics = sample_statistics(np.zeros((2, 3, 3, 1), np.uint8))
    assert statistics.as_json()["horizontal"] == [None]

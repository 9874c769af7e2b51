"""The baselines are exact distributions, fitted as they say, and ranked as they should be."""

import itertools
import math

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

from pixelprior.evaluation import baselines as module
from pixelprior.evaluation.baselines import (
    baselines,
    fit_histogram,
    fit_mixture,
    uniform_log_prob,
)


def random_symbols(seed, n, shape, levels):
    return np.random.default_rng(seed).integers(0, levels, (n, *shape), dtype=np.int32)


def all_grids(shape, levels):
    grids = itertools.product(range(levels), repeat=math.prod(shape))
    return np.array(list(grids), np.int32).reshape(-1, *shape)


@pytest.fixture(scope="module")
def digits():
    images = load_digits().images.astype(np.int32)[..., None]
    images = images[np.random.default_rng(0).permutation(len(images))]
    return images[:1294], images[1294:1438], images[1438:]


@pytest.mark.parametrize(("shape", "levels"), [((1, 3, 1), 3), ((2, 1, 3), 2)])
def test_probabilities_of_all_grids_add_up_to_one(shape, levels):
    train = random_symbols(0, 20, shape, levels)
    everything = all_grids(shape, levels)
    mixture = fit_mixture(train, train[:5], levels, components=4, iterations=5)
    for log_prob in (
        uniform_log_prob(everything, levels),
        fit_histogram(train, levels).log_prob(everything),
        mixture.log_prob(everything),
    ):
        np.testing.assert_allclose(np.exp(log_prob).sum(), 1.0, rtol=1e-5)


def test_uniform_is_the_log_of_the_number_of_grids():
    log_prob = uniform_log_prob(np.zeros((3, 2, 5, 1), np.int32), 7)
    assert log_prob.shape == (3,)
    np.testing.assert_allclose(log_prob, -10 * math.log(7), rtol=1e-6)


def test_histogram_against_hand_counts():
    # Position (0, 0) shows 0, 0, 2; position (0, 1) shows 1, 1, 1. Three levels, one added to each.
    train = np.array([[0, 1], [0, 1], [2, 1]], np.int32).reshape(3, 1, 2, 1)
    histogram = fit_histogram(train, 3)
    expected = np.array([[3 / 6, 1 / 6, 2 / 6], [1 / 6, 4 / 6, 1 / 6]])
    np.testing.assert_allclose(np.exp(histogram.log_tables[..., 0]), expected, rtol=1e-6)
    np.testing.assert_allclose(np.exp(histogram.log_prob(train)), [2 / 6, 2 / 6, 8 / 36], rtol=1e-5)


def test_histogram_keeps_positions_and_channels_apart():
    train = np.zeros((4, 2, 3, 3), np.int32)
    train[:, 1, 2, 0] = 1
    table = fit_histogram(train, 2).log_tables[:, 1, 0].reshape(2, 3, 3)
    assert np.argwhere(np.asarray(table) > math.log(0.5)).tolist() == [[1, 2, 0]]


def test_log_prob_against_float64():
    train = random_symbols(1, 60, (3, 4, 2), 5)
    test = random_symbols(2, 10, (3, 4, 2), 5)
    mixture = fit_mixture(train, train[:10], 5, components=6, iterations=4)
    tables = np.asarray(mixture.log_tables, np.float64)
    weights = np.asarray(mixture.log_weights, np.float64)
    expected = []
    for grid in test:
        log_joint = weights.copy()
        for position, symbol in enumerate(grid.ravel()):
            log_joint += tables[position, symbol]
        expected.append(np.log(np.exp(log_joint).sum()))
    log_prob = mixture.log_prob(test)
    assert log_prob.dtype == jnp.float32
    # 24 float32 additions of numbers near 30.
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5)


def test_large_grids_stay_finite():
    # exp(log_prob) is far below the smallest float32 here.
    train = random_symbols(3, 4, (40, 40, 1), 256)
    log_prob = fit_mixture(train, train, 256, components=3, iterations=3).log_prob(255 - train)
    assert np.isfinite(log_prob).all()
    assert (np.asarray(log_prob) < -1000).all()


@pytest.mark.parametrize("smoothing", module.SMOOTHINGS)
def test_em_never_lowers_its_objective(monkeypatch, smoothing):
    monkeypatch.setattr(module, "SMOOTHINGS", (smoothing,))
    train = random_symbols(4, 200, (4, 4, 1), 4)
    objective = fit_mixture(train, train[:5], 4, components=8, iterations=25).objective
    assert objective.shape == (26,)
    steps = np.diff(np.asarray(objective, np.float64))
    # The objective is near 25 nats, of which a float32 sum of 16 terms keeps about six digits.
    assert steps.min() > -1e-4
    assert steps[:3].min() > 1e-2


def test_the_objective_is_the_posterior():
    train = random_symbols(5, 30, (2, 3, 1), 3)
    mixture = fit_mixture(train, train[:5], 3, components=4, iterations=3)
    log_prior = mixture.smoothing * (mixture.log_tables.sum() + mixture.log_weights.sum())
    expected = mixture.log_prob(train).mean() + log_prior / len(train)
    np.testing.assert_allclose(mixture.objective[-1], expected, rtol=1e-5)


@pytest.mark.parametrize("smoothing", module.SMOOTHINGS)
def test_one_component_is_the_histogram(monkeypatch, smoothing):
    monkeypatch.setattr(module, "SMOOTHINGS", (smoothing,))
    train = random_symbols(6, 40, (3, 2, 1), 4)
    mixture = fit_mixture(train, train[:5], 4, components=1)
    histogram = fit_histogram(train, 4, smoothing=smoothing)
    assert mixture.smoothing == histogram.smoothing == smoothing
    np.testing.assert_allclose(mixture.log_tables, histogram.log_tables, rtol=1e-5)
    np.testing.assert_allclose(mixture.log_weights, [0.0], atol=1e-6)


def test_two_planted_clusters_are_found():
    rng = np.random.default_rng(7)
    prototypes = rng.integers(0, 4, (2, 5, 5, 1))
    labels = np.arange(300) < 90
    noise = rng.integers(0, 4, (300, 5, 5, 1))
    train = np.where(rng.random(noise.shape) < 0.2, noise, prototypes[labels.astype(int)])
    mixture = fit_mixture(train.astype(np.int32), train[:50], 4, components=2)
    by_weight = np.argsort(mixture.log_weights)[::-1]
    np.testing.assert_allclose(np.exp(mixture.log_weights)[by_weight], [0.7, 0.3], atol=0.01)
    modes = np.asarray(mixture.log_tables).argmax(axis=1)[:, by_weight].T
    np.testing.assert_array_equal(modes, prototypes.reshape(2, -1))


def test_smoothing_is_the_best_on_validation(monkeypatch):
    train, validation = random_symbols(8, 20, (3, 3, 1), 8), random_symbols(9, 20, (3, 3, 1), 8)
    chosen = fit_mixture(train, validation, 8, components=4)
    scores = {}
    for smoothing in module.SMOOTHINGS:
        monkeypatch.setattr(module, "SMOOTHINGS", (smoothing,))
        mixture = fit_mixture(train, validation, 8, components=4)
        scores[smoothing] = float(mixture.log_prob(validation).mean())
    assert chosen.smoothing == max(scores, key=scores.get)


def test_the_seed_decides_and_the_cap_is_reported(monkeypatch):
    monkeypatch.setattr(module, "MAX_MIXTURE_IMAGES", 25)
    train = random_symbols(10, 40, (2, 2, 1), 4)
    first, again, other = (
        fit_mixture(train, train[:5], 4, components=3, seed=seed) for seed in (0, 0, 1)
    )
    assert first.images == 25
    assert fit_histogram(train, 4).images == 40
    np.testing.assert_array_equal(first.log_tables, again.log_tables)
    assert not np.array_equal(first.log_tables, other.log_tables)


def test_digits_rank_the_baselines(digits):
    nats = baselines(*digits, levels=17)
    assert list(nats) == ["uniform", "histogram", "mixture"]
    np.testing.assert_allclose(nats["uniform"], 64 * math.log(17), rtol=1e-6)
    # As measured, with room for another order of floating-point additions: 107.9 and 99.9.
    assert nats["histogram"] < 110
    assert nats["mixture"] < 103


def test_fewer_images_than_components_still_give_a_table():
    train = random_symbols(11, 6, (2, 2, 1), 4)
    assert baselines(train, train, train, 4)["mixture"] > 0


def test_errors_say_what_to_do():
    images = random_symbols(12, 6, (2, 2, 1), 4)
    with pytest.raises(ValueError, match=r"\[n, h, w, c\].*\(6, 2\)"):
        fit_histogram(images[:, 0, :, 0], 4)
    with pytest.raises(ValueError, match=r"\[0, 3\)"):
        fit_histogram(images, 3)
    with pytest.raises(ValueError, match="positive smoothing"):
        fit_histogram(images, 4, smoothing=0.0)
    with pytest.raises(ValueError, match="got 0; fit"):
        fit_histogram(images[:0], 4)
    with pytest.raises(ValueError, match="as components, 50, got 6"):
        fit_mixture(images, images, 4)
    with pytest.raises(ValueError, match="at least 1 component"):
        fit_mixture(images, images, 4, components=0)
    with pytest.raises(ValueError, match="validation images"):
        fit_mixture(images, images[:0], 4, components=2)
    with pytest.raises(ValueError, match="shape"):
        fit_mixture(images, images[:, :1], 4, components=2)
    with pytest.raises(ValueError, match="test images"):
        baselines(images, images, images[:0], 4)
    with pytest.raises(ValueError, match="shape"):
        fit_histogram(images, 4).log_prob(images[:, :1])

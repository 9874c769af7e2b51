"""Distances between sets of features, against formulas, brute force and other libraries."""

import numpy as np
import prdc
import pytest
import scipy.linalg

from pixelprior.errors import InputError
from pixelprior.evaluation.frechet import frechet_distance
from pixelprior.evaluation.inception_score import inception_score
from pixelprior.evaluation.kernel_distance import kernel_distance
from pixelprior.evaluation.neighbours import nearest_of, neighbours


def clouds(seed, n, m, d, *, shift=0.3):
    """Two sets of correlated features that overlap."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(d, d)) / np.sqrt(d)
    real = rng.normal(size=(n, d)) @ mix
    fake = 1.2 * rng.normal(size=(m, d)) @ mix + shift
    return real.astype(np.float32), fake.astype(np.float32)


SIZES = pytest.mark.parametrize(("n", "m", "d"), [(200, 150, 6), (90, 120, 24), (40, 30, 64)])


@SIZES
def test_the_frechet_distance_is_the_published_formula(n, m, d):
    real, fake = clouds(0, n, m, d)
    s, t = (np.cov(x.astype(np.float64), rowvar=False) for x in (real, fake))
    apart = np.square(real.mean(axis=0, dtype=np.float64) - fake.mean(axis=0, dtype=np.float64))
    # The square root of a product without full rank needs some help.
    shake = 1e-12 * np.eye(d)
    root = scipy.linalg.sqrtm((s + shake) @ (t + shake)).real
    expected = apart.sum() + np.trace(s + t - 2 * root)
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-4)
    assert frechet_distance(fake, real) == pytest.approx(expected, rel=1e-4)


def test_the_frechet_distance_of_one_feature_by_hand():
    # Means 1 and 4, variances 2 and 18: 9 + (sqrt 2 - sqrt 18)^2 = 9 + 8.
    assert frechet_distance(np.array([[0.0], [2.0]]), np.array([[1.0], [7.0]])) == pytest.approx(17)


def test_the_kernel_distance_by_brute_force():
    real, fake = clouds(1, 30, 20, 4)

    def kernel(x, y):
        return (float(x.astype(np.float64) @ y.astype(np.float64)) / 4 + 1) ** 3

    def mean(pairs):
        return np.mean([kernel(x, y) for x, y in pairs])

    def others(points):
        return [(x, y) for i, x in enumerate(points) for j, y in enumerate(points) if i != j]

    expected = mean(others(real)) + mean(others(fake))
    expected -= 2 * mean([(x, y) for x in real for y in fake])
    assert kernel_distance(real, fake) == pytest.approx(expected, rel=1e-9)


def test_the_kernel_distance_does_not_hang_on_its_parts(monkeypatch):
    real, fake = clouds(2, 50, 70, 4)
    whole = kernel_distance(real, fake)
    monkeypatch.setattr("pixelprior.evaluation.kernel_distance.ROWS", 7)
    assert kernel_distance(real, fake) == pytest.approx(whole, rel=1e-12)


def test_the_kernel_distance_has_no_bias():
    # Of halves of one set it is 0 in the mean: five standard errors.
    rng = np.random.default_rng(3)
    values = [kernel_distance(*rng.normal(size=(2, 50, 3))) for _ in range(200)]
    assert abs(np.mean(values)) < 5 * np.std(values) / np.sqrt(len(values))


@SIZES
@pytest.mark.parametrize("nearest", [1, 5])
def test_neighbours_are_those_of_prdc(monkeypatch, capsys, n, m, d, nearest):
    monkeypatch.setattr("pixelprior.evaluation.neighbours.ROWS", 37)
    real, fake = clouds(4, n, m, d)
    expected = prdc.compute_prdc(real, fake, nearest)
    found = neighbours(real, fake, nearest=nearest)
    # Counts that agree, but for what is divided in another order.
    assert found._asdict() == pytest.approx(expected, abs=1e-12)
    assert 0 < found.coverage < 1


def test_neighbours_by_hand():
    real = np.array([[0.0], [1.0], [2.0], [10.0]])
    # Radii, to the nearest other: 1, 1, 1 and 8.
    fake = np.array([[0.5], [1.5], [3.0], [30.0], [31.0]])
    # Theirs: 1, 1, 1.5, 1 and 1. The last two are in no ball; 3.0 only in that of 10.
    found = neighbours(real, fake, nearest=1)
    assert found.precision == pytest.approx(3 / 5)
    assert found.density == pytest.approx((2 + 2 + 1 + 0 + 0) / 5)
    # 0 is in the ball of 0.5, 1 in those of 0.5 and 1.5, 2 in those of 1.5 and 3.0, 10 in none.
    assert found.recall == pytest.approx(3 / 4)
    assert found.coverage == pytest.approx(4 / 4)


def test_the_nearest_by_brute_force():
    points, queries = clouds(5, 40, 30, 7)
    expected = np.linalg.norm(queries[:, None] - points[None], axis=-1)
    distances, places = nearest_of(points, queries)
    np.testing.assert_array_equal(places, expected.argmin(axis=1))
    np.testing.assert_allclose(distances, expected.min(axis=1), rtol=1e-5)


def test_inception_scores_by_hand():
    # All of one class: 1. Two of ten classes in turn, in every part: 2. Nothing known: 1.
    sure = 50 * np.eye(10)
    assert inception_score(np.repeat(sure[:1], 20, axis=0)).mean == pytest.approx(1)
    assert inception_score(np.tile(sure[:2], (10, 1))).mean == pytest.approx(2)
    assert inception_score(np.zeros((20, 10))).mean == pytest.approx(1)
    # Five parts of one class each, and five that have two: the parts do not see each other.
    logits = np.concatenate([np.repeat(sure[:1], 10, axis=0), np.tile(sure[:2], (5, 1))])
    assert inception_score(logits) == pytest.approx((1.5, 0.5))


@pytest.mark.torch
def test_against_torch_fidelity():
    torch = pytest.importorskip("torch", reason="it comes with the extra 'metrics'")
    pytest.importorskip("torch_fidelity", reason="it comes with the extra 'metrics'")
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    real, fake = clouds(6, 300, 300, 16)
    r, f = torch.from_numpy(real), torch.from_numpy(fake)
    fid = fid_statistics_to_metric(
        fid_features_to_statistics(r), fid_features_to_statistics(f), False
    )
    assert frechet_distance(real, fake) == pytest.approx(*fid.values(), rel=1e-4)
    # One subset of all images is all pairs.
    kid = kid_features_to_metric(r, f, kid_subsets=1, kid_subset_size=300, verbose=False)
    assert kernel_distance(real, fake) == pytest.approx(
        kid["kernel_inception_distance_mean"], rel=1e-4
    )
    prc = prc_features_to_metric(f, r, prc_neighborhood=3, save_cpu_ram=False, verbose=False)
    found = neighbours(real, fake, nearest=3)
    assert (found.precision, found.recall) == pytest.approx(
        (prc["precision"], prc["recall"]), abs=1e-4
    )
    isc = isc_features_to_metric(r, splits=10, shuffle=False)
    assert inception_score(real) == pytest.approx(tuple(isc.values()), rel=1e-4)


@pytest.mark.parametrize("function", [frechet_distance, kernel_distance, neighbours])
def test_what_cannot_be_compared_is_refused(function):
    real, fake = clouds(7, 20, 20, 4)
    spoilt = real.copy()
    spoilt[3, 1] = np.nan
    for a, b, words in (
        (real[:1], fake, r"at least 2 real images, got shape \(1, 4\)"),
        (real, fake[0], r"at least 2 generated images, got shape \(4,\)"),
        (spoilt, fake, "the features of 1 real images are not finite"),
        (real, fake[:, :3], "got 4 of each real image and 3 of each generated one"),
    ):
        with pytest.raises(InputError, match=words):
            function(a, b)


@pytest.mark.parametrize("nearest", [0, 20])
def test_as_many_neighbours_as_there_are(nearest):
    with pytest.raises(InputError, match="expected 1 to 19 neighbours"):
        neighbours(*clouds(8, 30, 20, 2), nearest=nearest)


def test_scores_need_images_for_every_part():
    with pytest.raises(InputError, match=r"at least 10 images, got shape \(9, 3\)"):
        inception_score(np.zeros((9, 3)))

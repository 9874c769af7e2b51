"""The PCA code, against float64 linear algebra, brute force and its own account of its error."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from pixelprior.errors import InputError
from pixelprior.evaluation import pca as module
from pixelprior.evaluation.pca import MAX_BITS, PcaCode, fit_pca_code, pca_mse, spend_bits


def smooth_images(seed, n, shape, *, contrast=0.08):
    """Images of a few Gaussian factors of falling weight, and a little noise, around 0.5."""
    rng = np.random.default_rng(seed)
    dimensions = int(np.prod(shape))
    factors = (
        np.random.default_rng(99).standard_normal((6, dimensions)) / 2.0 ** np.arange(6)[:, None]
    )
    flat = 0.5 + contrast * (rng.standard_normal((n, 6)) @ factors / 2)
    flat += 0.002 * rng.standard_normal(flat.shape)
    return np.clip(flat, 0, 1).astype(np.float32).reshape(n, *shape)


@pytest.fixture(scope="module")
def digits():
    images = (load_digits().images / 16).astype(np.float32)[..., None]
    images = images[np.random.default_rng(0).permutation(len(images))]
    return images[:1400], images[1400:]


def mse(code, images):
    return np.square(code.reconstruct(images).astype(np.float64) - images).mean()


@pytest.mark.parametrize("n", [300, 20], ids=["more images", "more dimensions"])
def test_components_against_scikit_learn(n):
    train = smooth_images(0, n, (4, 5, 3))
    code = fit_pca_code(train, 30)
    oracle = PCA(len(code.bits), svd_solver="full").fit(train.reshape(n, -1).astype(np.float64))
    np.testing.assert_allclose(code.mean, oracle.mean_, rtol=1e-6)
    products = code.components.astype(np.float64) @ oracle.components_.T
    # Up to their signs; the factors' variances are far apart, those of the noise are not.
    np.testing.assert_allclose(np.abs(np.diag(products))[:5], 1.0, atol=1e-4)
    gram = code.components.astype(np.float64) @ code.components.T
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-5)


def test_a_code_by_hand():
    code = PcaCode(
        shape=(1, 2, 1),
        mean=np.array([0.5, 0.5], np.float32),
        components=np.eye(2, dtype=np.float32),
        bits=np.array([2, 1]),
        ranges=np.array([0.4, 0.2], np.float32),
        images=9,
    )
    assert code.total_bits == 3
    # Cells of 0.2 from 0.1, 0.3, 0.5 and 0.7; and two, which meet at 0.5 and have middles 0.4, 0.6.
    images = np.array([[0.15, 0.49], [0.62, 0.51], [0.0, 1.0], [1.0, 0.0]], np.float32)
    cells = code.encode(images.reshape(4, 1, 2, 1))
    assert cells.tolist() == [[0, 0], [2, 1], [0, 1], [3, 0]]
    decoded = code.decode(cells).reshape(4, 2)
    np.testing.assert_allclose(decoded, [[0.2, 0.4], [0.6, 0.6], [0.2, 0.6], [0.8, 0.4]], rtol=1e-6)


def test_decoded_images_are_clipped():
    code = PcaCode(
        (1, 1, 1), np.float32([0.9]), np.float32([[1]]), np.array([1]), np.float32([1]), 2
    )
    assert code.decode(np.array([[0], [1]])).ravel().tolist() == [np.float32(0.9) - 0.5, 1.0]


@pytest.mark.parametrize("bits", range(1, MAX_BITS + 1))
def test_quantiser_errors_against_quantising(bits):
    coefficients = np.random.default_rng(1).gamma(2.0, 0.3, 500)
    coefficients -= coefficients.mean()
    errors, ranges = module._quantiser_errors(coefficients)
    deviation = np.sqrt(np.mean(coefficients**2))
    expected = {}
    for width in deviation * np.array(module.RANGES):
        centres = -width + (np.arange(2**bits) + 0.5) * (2 * width / 2**bits)
        nearest = np.abs(coefficients[:, None] - centres).min(axis=1)
        expected[width] = np.mean(nearest**2)
    best = min(expected, key=expected.get)
    np.testing.assert_allclose(ranges[bits], best, rtol=1e-12)
    np.testing.assert_allclose(errors[bits], expected[best], rtol=1e-6)
    np.testing.assert_allclose(errors[0], deviation**2, rtol=1e-12)


def test_one_bit_of_two_values_is_exact():
    # Half the range is twice the distance of a value from the middle: two deviations.
    errors, ranges = module._quantiser_errors(np.repeat([-0.3, 0.3], 10))
    np.testing.assert_allclose(ranges[1], 0.6, rtol=1e-12)
    np.testing.assert_allclose(errors[1], 0.0, atol=1e-15)


@pytest.mark.parametrize("bits", [0, 1, 4, 7, 12, 40])
def test_no_other_spread_of_the_bits_is_better(bits):
    # Falling gains: the case in which greed is optimal.
    gains = np.sort(np.random.default_rng(2).exponential(size=(4, 4)), axis=1)[:, ::-1]
    errors = np.cumsum(np.concatenate([np.full((4, 1), 20.0), -gains], axis=1), axis=1)
    spent = spend_bits(errors, bits)
    spreads = [s for s in itertools.product(range(5), repeat=4) if sum(s) <= bits]
    best = min(errors[range(4), s].sum() for s in spreads)
    np.testing.assert_allclose(errors[range(4), spent].sum(), best, rtol=1e-12)
    assert spent.sum() == min(bits, 16)


def test_bits_that_pay_only_together_are_seen():
    # The first gains 4 per bit by two bits and nothing by one; the second 3 by one.
    errors = np.array([[9.0, 9.0, 1.0], [9.0, 6.0, 6.0]])
    assert spend_bits(errors, 3).tolist() == [2, 1]
    assert spend_bits(errors, 2).tolist() == [2, 0]
    # Two do not fit into a budget of one, and the last bit of three is of no use to either.
    assert spend_bits(errors, 1).tolist() == [0, 1]
    assert spend_bits(errors, 4).tolist() == [2, 1]


@pytest.mark.parametrize("bits", [1, 7, 24, 60])
def test_the_training_error_is_what_was_promised(bits):
    # Low contrast: nothing is clipped, so components and remainder add up (Pythagoras).
    train = smooth_images(3, 400, (4, 4, 1))
    code = fit_pca_code(train, bits)
    assert code.total_bits == bits
    flat = train.reshape(400, -1).astype(np.float64)
    centred = flat - flat.mean(axis=0)
    coefficients = centred @ code.components.T.astype(np.float64)
    remainder = np.square(centred).sum(axis=1).mean() - np.square(coefficients).sum(axis=1).mean()
    promised = [
        module._quantiser_errors(coefficient)[0][b]
        for coefficient, b in zip(coefficients.T, code.bits, strict=True)
    ]
    np.testing.assert_allclose(mse(code, train), (remainder + sum(promised)) / 16, rtol=1e-3)


def test_more_bits_are_never_worse_in_training(digits):
    errors = [mse(fit_pca_code(digits[0], bits), digits[0]) for bits in (1, 8, 32, 64, 128, 256)]
    assert (np.diff(errors) < 0).all()


def test_greed_beats_equal_bits(digits):
    train, test = digits
    code = fit_pca_code(train, 48)
    # The same quantisers with 4 bits for each of the first 12 components, or 3 of 16, ...
    centred = train.reshape(len(train), -1) - train.mean(axis=0).ravel()
    _, _, components = np.linalg.svd(centred, full_matrices=False)
    for each in (2, 3, 4, 6):
        first = components[: 48 // each]
        ranges = [module._quantiser_errors(z)[1][each] for z in (centred @ first.T).T]
        equal = PcaCode(
            code.shape, code.mean, first, np.full(len(first), each), np.float32(ranges), len(train)
        )
        assert equal.total_bits == 48
        assert mse(code, test) < mse(equal, test)


def test_digits(digits):
    train, test = digits
    # As measured: 0.00674. The mean image alone is at 0.0743.
    error = pca_mse(train, test, 64)
    np.testing.assert_allclose(error, mse(fit_pca_code(train, 64), test), rtol=1e-6)
    assert error < 0.007


def test_a_large_budget_is_not_used_up(digits):
    code = fit_pca_code(digits[0][:30], 5000)
    assert len(code.bits) <= 29
    assert code.total_bits <= 29 * MAX_BITS
    # 30 images span 29 dimensions, each known to some hundredths of its spread.
    assert mse(code, digits[0][:30]) < 1e-5


def test_more_dimensions_than_images_generalise_as_they_should(digits):
    train, test = digits
    assert pca_mse(train[:50], test, 64) > pca_mse(train, test, 64)
    # By the inner products, and by the covariance: the same code, up to rounding.
    copies = np.concatenate([train[:50]] * 2)
    np.testing.assert_allclose(pca_mse(train[:50], test, 40), pca_mse(copies, test, 40), rtol=1e-2)


def test_images_all_alike_need_no_bits():
    train = np.full((5, 8, 8, 1), 0.25, np.float32)
    code = fit_pca_code(train, 10)
    assert code.total_bits == 0
    assert code.encode(train).shape == (5, 0)
    np.testing.assert_array_equal(code.reconstruct(train), train)


def test_codes_are_what_their_bits_can_hold(digits):
    code = fit_pca_code(digits[0], 100)
    cells = code.encode(digits[1])
    assert np.issubdtype(cells.dtype, np.integer)
    assert cells.min() >= 0 and (cells.max(axis=0) < 2**code.bits).all()
    assert code.decode(cells).dtype == np.float32
    np.testing.assert_array_equal(code.encode(jnp.asarray(digits[1])), cells)
    np.testing.assert_array_equal(code.decode(cells), code.reconstruct(digits[1]))


def test_the_cap_is_reported(monkeypatch, digits):
    monkeypatch.setattr(module, "MAX_IMAGES", 50)
    first, again, other = (fit_pca_code(digits[0], 20, seed=seed) for seed in (0, 0, 1))
    assert first.images == 50
    np.testing.assert_array_equal(first.components, again.components)
    assert not np.array_equal(first.mean, other.mean)


def test_covariance_in_parts_is_the_same(monkeypatch, digits):
    whole = fit_pca_code(digits[0], 40)
    monkeypatch.setattr(module, "_ROWS", 333)
    parts = fit_pca_code(digits[0], 40)
    np.testing.assert_array_equal(parts.bits, whole.bits)
    np.testing.assert_allclose(parts.ranges, whole.ranges, rtol=1e-6)


def test_errors_say_what_to_do(digits):
    train, test = digits
    code = fit_pca_code(train, 10)
    with pytest.raises(InputError, match=r"\[n, h, w, c\], got \(1400, 8, 8\)"):
        fit_pca_code(train[..., 0], 10)
    with pytest.raises(InputError, match="floats in .* got int64; divide"):
        fit_pca_code((train * 16).astype(np.int64), 10)
    with pytest.raises(InputError, match="values from 0.0 to 16.0"):
        fit_pca_code(train * 16, 10)
    with pytest.raises(InputError, match="values from nan"):
        fit_pca_code(train * np.nan, 10)
    with pytest.raises(InputError, match="at least 2 training images, got 1"):
        fit_pca_code(train[:1], 10)
    with pytest.raises(InputError, match="at least 1 bit"):
        fit_pca_code(train, 0)
    with pytest.raises(InputError, match=r"\[n, 8, 8, 1\]"):
        code.encode(test[:, :4])
    with pytest.raises(InputError, match="shape"):
        code.decode(np.zeros((3, len(code.bits) + 1), np.int32))
    for cells in (code.encode(test) - 2**MAX_BITS, code.encode(test) + 2**MAX_BITS):
        with pytest.raises(InputError, match="decode the result of encode"):
            code.decode(cells)
    with pytest.raises(InputError, match="decode the result of encode"):
        code.decode(code.encode(test) + 0.5)
    with pytest.raises(InputError, match="test images"):
        pca_mse(train, test[:0], 10)
    with pytest.raises(InputError, match=r"\[n, 8, 8, 1\]"):
        pca_mse(train, test[:, :4], 10)

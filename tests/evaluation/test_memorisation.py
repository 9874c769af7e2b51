"""Copies of training images are found, and what is like test images is not called one."""

import numpy as np
import pytest

from pixelprior.evaluation.memorisation import memorisation


def test_by_hand():
    train = np.array([[0.0], [10.0]])
    # Distances 1, 2 and 3; those of the samples 0.5, 2 and 4.
    found = memorisation(train, np.array([[1.0], [8.0], [3.0]]), np.array([[10.5], [2.0], [-4.0]]))
    np.testing.assert_array_equal(found.nearest, [1, 0, 0])
    np.testing.assert_allclose(found.distances, [0.5, 2, 4])
    # 0.5 is nearer than all three; 2 than one, and as near as one; 4 than none.
    assert found.nearer == pytest.approx((3 + 1.5 + 0) / 9)
    # The hundredth of three distances is just above the least of them.
    assert found.copies == pytest.approx(1 / 3)


def test_copies_and_others():
    rng = np.random.default_rng(0)
    train, test, fresh = (rng.normal(size=(n, 6)) for n in (500, 400, 400))
    alike = memorisation(train, test, fresh)
    assert abs(alike.nearer - 0.5) < 0.1 and alike.copies < 0.04
    copies = memorisation(train, test, train[:300] + 1e-3)
    assert copies.nearer > 0.99 and copies.copies > 0.99
    np.testing.assert_array_equal(copies.nearest, np.arange(300))
    # Half of each.
    mixed = memorisation(train, test, np.concatenate([train[:200] + 1e-3, fresh[:200]]))
    assert mixed.copies == pytest.approx(0.5, abs=0.03)
    far = memorisation(train, test, fresh + 50)
    assert far.nearer == 0 and far.copies == 0

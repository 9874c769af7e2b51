"""Rotations against complex numbers, and what they are for: products that depend on differences."""

import jax.numpy as jnp
import numpy as np

from pixelprior.nn.rotary import LONGEST, rotate, rotation

RNG = np.random.default_rng(0)


def test_a_pair_of_features_is_a_complex_number_that_is_turned():
    rows, columns = jnp.array([0, 3, 5]), jnp.array([2, 0, 7])
    x = RNG.normal(size=(3, 2, 8))
    found = np.asarray(rotate(jnp.asarray(x, jnp.float32), rotation(rows, columns, 8)))
    # Two speeds for the rows, and the same two for the columns.
    speeds = np.array([1.0, 1.0 / LONGEST])
    angles = np.concatenate([np.outer(rows, speeds), np.outer(columns, speeds)], axis=-1)
    turned = (x[..., :4] + 1j * x[..., 4:]) * np.exp(1j * angles)[:, None]
    np.testing.assert_allclose(found[..., :4], turned.real, atol=1e-5)
    np.testing.assert_allclose(found[..., 4:], turned.imag, atol=1e-5)


def test_products_depend_on_the_difference_of_positions():
    query, key = (jnp.asarray(RNG.normal(size=(1, 1, 8)), jnp.float32) for _ in range(2))

    def product(here, there):
        turned = [
            rotate(x, rotation(jnp.array([p[0]]), jnp.array([p[1]]), 8))
            for x, p in ((query, here), (key, there))
        ]
        return float((turned[0] * turned[1]).sum())

    assert abs(product((5, 9), (3, 2)) - product((12, 20), (10, 13))) < 1e-4
    assert abs(product((5, 9), (3, 2)) - product((5, 9), (2, 2))) > 1e-2
    assert abs(product((5, 9), (3, 2)) - product((5, 9), (3, 3))) > 1e-2

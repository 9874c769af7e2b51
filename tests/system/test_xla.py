"""XLA computes what this package relies on. Releases with these faults have been reported."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest


@pytest.mark.parametrize("rows", [32_768, 32_769, 65_537])
def test_long_sums_of_products_are_right(rows):
    # Whole numbers, so that every order of summation gives the same result.
    rng = np.random.default_rng(0)
    x, y = (rng.integers(-2, 3, (rows, width)).astype(np.float32) for width in (8, 16))

    @jax.jit
    def sums(x, y):
        relu = jnp.maximum(x + 1, 0)
        return relu.sum(axis=0), relu.T @ y, (y * y).sum(axis=0) + 1

    relu = np.maximum(x + 1, 0)
    for actual, expected in zip(
        sums(x, y), (relu.sum(0), relu.T @ y, (y * y).sum(0) + 1), strict=True
    ):
        np.testing.assert_array_equal(actual, expected)


def test_a_loop_updates_an_array_in_place():
    """A copy of the whole array at each step would make sampling quadratic in the image."""

    def body(n, x):
        return jax.lax.dynamic_update_index_in_dim(x, x[n] + 1, n, axis=0)

    x = jnp.zeros((512, 1024))
    compiled = jax.jit(lambda x: jax.lax.fori_loop(0, 512, body, x)).lower(x).compile()
    loop = compiled.as_text().split("ENTRY")[0]
    copies = [line for line in loop.splitlines() if " copy(" in line and "[512,1024]" in line]
    assert not copies
    # Nor is there a second array beside the argument and the result.
    assert compiled.memory_analysis().temp_size_in_bytes < 1.5 * x.nbytes

"""Products and correlations: the primitives of all backends against XLA's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from pixelprior.nn import products
from pixelprior.nn.products import correlate, product


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# Sums of some tens of products of normal numbers, in another order.
CLOSE = dict(rtol=1e-4, atol=1e-5)


@pytest.fixture(params=["cpu", "gpu"])
def backend(request, monkeypatch):
    """Choose the primitives of a kind of device; all of them run here."""
    monkeypatch.setattr(jax, "default_backend", lambda: request.param)
    return request.param


@pytest.mark.parametrize(
    ("rows", "columns", "d", "e"),
    [(1, 1, 3, 4), (2, 3, 3, 2), (1, 4, 2, 5), (3, 1, 2, 2), (4, 5, 2, 3)],
)
def test_correlate_and_its_gradients_are_those_of_a_convolution(backend, rows, columns, d, e):
    x, kernel = normal(0, 2, 4, 5, d), normal(1, rows, columns, d, e)
    y, backward = jax.vjp(correlate, x, kernel)

    def convolve(x, kernel):
        numbers = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=numbers)

    expected, expected_backward = jax.vjp(convolve, x, kernel)
    assert y.shape == (2, 5 - rows, 6 - columns, e)
    np.testing.assert_allclose(y, expected, **CLOSE)
    dy = normal(2, *y.shape)
    for actual, wanted in zip(backward(dy), expected_backward(dy), strict=True):
        np.testing.assert_allclose(actual, wanted, **CLOSE)


def test_correlate_by_hand(backend):
    x = np.arange(6.0, dtype=np.float32).reshape(1, 2, 3, 1)
    kernel = np.array([[1.0, 10.0], [100.0, 1000.0]], np.float32).reshape(2, 2, 1, 1)
    expected = [0 + 10 + 300 + 4000, 1 + 20 + 400 + 5000]
    np.testing.assert_array_equal(np.ravel(correlate(x, kernel)), expected)


@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 3, 5, 4)])
def test_product_and_its_gradients(backend, shape):
    x, kernel = normal(0, *shape), normal(1, 4, 3)
    y, backward = jax.vjp(product, x, kernel)
    np.testing.assert_allclose(y, x @ kernel, **CLOSE)
    dy = normal(2, *y.shape)
    dx, d_kernel = backward(dy)
    np.testing.assert_allclose(dx, dy @ kernel.T, **CLOSE)
    np.testing.assert_allclose(d_kernel, x.reshape(-1, 4).T @ dy.reshape(-1, 3), **CLOSE)


def test_types_are_kept(backend):
    x, kernel = jnp.asarray(normal(0, 2, 3, 3, 4)), jnp.asarray(normal(1, 2, 2, 4, 5))
    half = [a.astype(jnp.bfloat16) for a in (x, kernel)]
    y, backward = jax.vjp(correlate, *half)
    assert y.dtype == jnp.bfloat16
    assert {d.dtype for d in backward(y)} == {jnp.dtype(jnp.bfloat16)}


def test_only_cpus_gather(backend):
    x, kernel = normal(0, 1, 4, 4, 2), normal(1, 2, 2, 2, 3)
    # A new function is traced anew; JAX would return the trace of the other backend.
    traced = str(jax.make_jaxpr(lambda x, kernel: products.correlate(x, kernel))(x, kernel))
    assert ("conv_general_dilated" in traced) == (backend == "gpu")

"""The convolutions against the general one of XLA, whole and in chunks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from pixelprior.errors import InputError
from pixelprior.nn.causal import Above, Left, shift_down, shift_right
from pixelprior.nn.masked_conv import MaskedConv


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def convolve(x, kernel, padding):
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=numbers)


# Sums of some tens of products of normal numbers, in another order.
CLOSE = dict(rtol=1e-4, atol=1e-5)


def test_shifts():
    x = np.arange(1, 7).reshape(1, 2, 3, 1)
    np.testing.assert_array_equal(shift_down(x)[0, :, :, 0], [[0, 0, 0], [1, 2, 3]])
    np.testing.assert_array_equal(shift_down(x, -1)[0, :, :, 0], [[-1, -1, -1], [1, 2, 3]])
    np.testing.assert_array_equal(shift_right(x)[0, :, :, 0], [[0, 1, 2], [0, 4, 5]])
    np.testing.assert_array_equal(shift_right(x, -1)[0, :, :, 0], [[-1, 1, 2], [-1, 4, 5]])


@pytest.mark.parametrize(("rows", "columns"), [(1, 3), (2, 5), (3, 1)])
def test_above_is_a_convolution_and_chunks_of_rows_make_the_whole(rows, columns):
    layer = Above(rows, columns, 2, 3, rngs=nnx.Rngs(0))
    x, margin = normal(0, 2, 7, 4, 2), columns // 2
    whole, last = layer(x, layer.init_past(2, 4))
    padding = ((rows - 1, 0), (margin, margin))
    np.testing.assert_allclose(whole, convolve(x, layer.kernel[...], padding), **CLOSE)

    # Chunks of one row, of more than the past holds, and none of them equal.
    chunks, past = [], layer.init_past(2, 4)
    for begin, end in [(0, 1), (1, 2), (2, 4), (4, 7)]:
        y, past = layer(x[:, begin:end], past)
        chunks.append(y)
    np.testing.assert_allclose(np.concatenate(chunks, axis=1), whole, **CLOSE)
    np.testing.assert_array_equal(past, x[:, 7 - (rows - 1) :])
    np.testing.assert_array_equal(last, past)


@pytest.mark.parametrize("columns", [1, 2, 4])
def test_left_is_a_convolution_and_chunks_of_columns_make_the_whole(columns):
    layer = Left(columns, 2, 3, rngs=nnx.Rngs(0))
    x = normal(0, 2, 3, 7, 2)
    whole, last = layer(x, layer.init_past(2, 3))
    padding = ((0, 0), (columns - 1, 0))
    np.testing.assert_allclose(whole, convolve(x, layer.kernel[...], padding), **CLOSE)

    chunks, past = [], layer.init_past(2, 3)
    for begin, end in [(0, 1), (1, 2), (2, 4), (4, 7)]:
        y, past = layer(x[:, :, begin:end], past)
        chunks.append(y)
    np.testing.assert_allclose(np.concatenate(chunks, axis=2), whole, **CLOSE)
    np.testing.assert_array_equal(past, x[:, :, 7 - (columns - 1) :])
    np.testing.assert_array_equal(last, past)


def test_above_wants_a_centre():
    with pytest.raises(InputError, match="odd number of columns, got 4"):
        Above(2, 4, 1, 1, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(("kind", "size"), [("A", 3), ("A", 5), ("B", 3), ("B", 5)])
def test_masked_convolution_is_one_with_a_masked_kernel(kind, size):
    d, e, half = 2, 3, size // 2
    layer = MaskedConv(kind, size, d, e, rngs=nnx.Rngs(0))
    # Taps in raster order up to the centre, which only kind B has; all others are zero.
    taps = half * size + half + (kind == "B")
    weights = [
        np.reshape(half_[...], (-1, d, e)) for half_ in (layer.above.kernel, layer.left.kernel)
    ]
    kernel = np.zeros((size * size, d, e), np.float32)
    kernel[:taps] = np.concatenate(weights)
    x = normal(0, 2, 4, 6, d)
    expected = convolve(x, kernel.reshape(size, size, d, e), "SAME")
    np.testing.assert_allclose(layer(x), expected, **CLOSE)
    # And there is no parameter for what is masked.
    parameters = jax.tree.leaves(nnx.state(layer, nnx.Param))
    assert sum(parameter.size for parameter in parameters) == taps * d * e


def test_initial_kernels_keep_the_variance():
    layer = Above(2, 5, 30, 20, rngs=nnx.Rngs(0))
    # 6,000 weights: their standard deviation is known to about one percent.
    np.testing.assert_allclose(np.std(layer.kernel[...]), (2 * 5 * 30) ** -0.5, rtol=0.05)


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [("A", 4, "odd and at least 3, got 4"), ("B", 1, "odd and at least 3, got 1"), ("C", 3, "'C'")],
)
def test_masked_convolution_refuses_other_kernels(kind, size, message):
    with pytest.raises(InputError, match=message):
        MaskedConv(kind, size, 1, 1, rngs=nnx.Rngs(0))


def test_gradients_of_chunks_are_those_of_the_whole():
    # Through the past, too: what a chunk learns from the rows before it must not be lost.
    layer = Above(3, 3, 2, 2, rngs=nnx.Rngs(0))
    graph, weights = nnx.split(layer)
    x, weight = normal(0, 1, 5, 4, 2), normal(1, 1, 5, 4, 2)

    def loss(weights, x, cuts):
        layer = nnx.merge(graph, weights)
        past, total = layer.init_past(1, 4), jnp.zeros(())
        for begin, end in zip([0, *cuts], [*cuts, 5], strict=True):
            y, past = layer(x[:, begin:end], past)
            total += (y * weight[:, begin:end]).sum()
        return total

    gradient = jax.jit(jax.grad(loss, argnums=(0, 1)), static_argnums=2)
    for whole, chunked in zip(
        jax.tree.leaves(gradient(weights, x, ())),
        jax.tree.leaves(gradient(weights, x, (1, 3))),
        strict=True,
    ):
        np.testing.assert_allclose(chunked, whole, **CLOSE)

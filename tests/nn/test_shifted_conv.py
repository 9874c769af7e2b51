"""Convolutions and steps between resolutions that keep the order, against sums written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior.nn.gates import concat_elu, gated_residual
from pixelprior.nn.shifted_conv import DownRightConv, Downsample, Upsample

D, E = 3, 2
# Even and odd, and grids of a single row, column or position.
SIZES = [(4, 6), (5, 3), (1, 2), (3, 1), (1, 1)]

every_size = pytest.mark.parametrize(("height", "width"), SIZES)


def make(layer):
    graph, shapes = nnx.split(nnx.eval_shape(lambda: layer(D, E, rngs=nnx.Rngs(0))))
    rng = np.random.default_rng(0)
    return nnx.merge(
        graph, jax.tree.map(lambda s: jnp.asarray(rng.normal(size=s.shape), s.dtype), shapes)
    )


def random_input(height, width):
    return np.random.default_rng(1).normal(size=(2, height, width, D)).astype(np.float32)


def numpy_windows(layer, x, stride):
    """The kernel's four taps at every position, or at every second of every second row."""
    kernel, bias = np.float64(layer.kernel[...]), np.float64(layer.bias[...])
    _, height, width, _ = x.shape
    shape = (len(x), -(-height // stride), -(-width // stride), E)
    y = np.zeros(shape) + bias
    for i, j, m, n in np.ndindex(*shape[1:3], 2, 2):
        row, column = stride * i + m - 1, stride * j + n - 1
        if row >= 0 and column >= 0:
            y[:, i, j] += np.float64(x[:, row, column]) @ kernel[m, n]
    return y


def by_position(layer, x, stride):
    """The same from the two parts that a sampler asks for, row by row and column by column."""
    b, height, width, _ = x.shape
    above, rows = np.zeros((b, 1, width, D), np.float32), []
    for i in range(height):
        row, left, columns = x[:, i : i + 1], np.zeros((b, 1, 1, D), np.float32), []
        from_above = layer.from_above(jnp.asarray(above))
        for j in range(0, width):
            own = jnp.asarray(row[:, :, j : j + 1])
            if j % stride == 0:
                given = from_above[:, :, j // stride, None]
                columns.append(layer.from_left(own, jnp.asarray(left)) + given)
            left = own
        above = row
        if i % stride == 0:
            rows.append(jnp.concatenate(columns, axis=2))
    return jnp.concatenate(rows, axis=1)


# Sums of a dozen products of size 1, in float32.
CLOSE = dict(rtol=1e-5, atol=1e-5)


@every_size
def test_a_down_right_convolution_looks_up_and_left(height, width):
    conv, x = make(DownRightConv), random_input(height, width)
    wanted = numpy_windows(conv, x, 1)
    np.testing.assert_allclose(conv(x), wanted, **CLOSE)
    np.testing.assert_allclose(by_position(conv, x, 1), wanted, **CLOSE)


@every_size
def test_a_step_down_ends_at_the_position_that_it_stands_for(height, width):
    down, x = make(Downsample), random_input(height, width)
    wanted = numpy_windows(down, x, 2)
    nothing = np.zeros((2, 1, width, D), np.float32)
    np.testing.assert_allclose(down(x, nothing), wanted, **CLOSE)
    np.testing.assert_allclose(by_position(down, x, 2), wanted, **CLOSE)
    # A chunk that begins with an even row, given the row above it.
    for i in range(2, height, 2):
        chunk = down(x[:, i : i + 1], x[:, i - 1 : i])
        np.testing.assert_allclose(chunk, wanted[:, i // 2, None], **CLOSE)


@every_size
def test_a_step_up_begins_at_the_position_that_it_stands_for(height, width):
    up, coarse = make(Upsample), random_input(-(-height // 2), -(-width // 2))
    kernel = np.float64(up.linear.kernel[...]).reshape(D, 2, 2, E)
    bias = np.float64(up.linear.bias[...]).reshape(2, 2, E)
    wanted = np.zeros((2, height, width, E))
    for i, j in np.ndindex(height, width):
        here = np.float64(coarse[:, i // 2, j // 2])
        wanted[:, i, j] = here @ kernel[:, i % 2, j % 2] + bias[i % 2, j % 2]
    np.testing.assert_allclose(up(coarse, height, width), wanted, **CLOSE)


def test_the_activations_by_hand():
    x = np.array([[0.0, 1.0, -2.0]], np.float32)
    low = np.expm1([-1.0, -2.0])
    np.testing.assert_allclose(concat_elu(x), [[0, 1, low[1], 0, low[0], 2]], rtol=1e-6)
    y = np.array([[4.0, -1.0, 2.0, 0.0, np.log(3.0), -np.inf]], np.float32)
    # Gates of a half, three quarters and none.
    np.testing.assert_allclose(gated_residual(x, y), [[2.0, 0.25, -2.0]], rtol=1e-6)


def test_the_activation_has_a_gradient_everywhere():
    x = jnp.linspace(-5.0, 5.0, 101)[:, None]
    slopes = jax.vmap(jax.jacobian(concat_elu))(x)
    assert (np.abs(slopes).sum(axis=1) >= 1).all()

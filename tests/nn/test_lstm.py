"""LSTMs over rows and diagonals against loops over positions, in float64, from the equations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from pixelprior import Grid, RowLSTM
from pixelprior.errors import InputError
from pixelprior.models.diagonal_bilstm import DiagonalBiLSTMBlock
from pixelprior.models.row_lstm import RowLSTMBlock
from pixelprior.nn.lstm import LineLSTM, line_lstm, lstm_cell
from pixelprior.nn.skew import skew, unskew
from tests.models.catalogue import everything_before, seen_by_diagonal_bilstm, seen_by_row_lstm

BATCH, D, CONTEXT = 2, 3, 2


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def random_block(make):
    """A block with random numbers for weights, biases included, and its weights in float64."""
    graph, weights = nnx.split(nnx.eval_shape(make))
    rng = np.random.default_rng(0)
    weights = jax.tree.map(lambda w: jnp.asarray(0.7 * rng.normal(size=w.shape), w.dtype), weights)
    flat = {
        ".".join(map(str, path)): np.asarray(value[...], np.float64)
        for path, value in nnx.to_flat_state(weights)
    }
    return nnx.merge(graph, weights), flat


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cell_by_hand(gates, cell):
    """Equation 3 of van den Oord et al. (2016a), in its order of the gates."""
    o, f, i, g = np.split(gates, 4, axis=-1)
    cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(cell), cell


def nothing(b):
    return np.zeros((b, D)), np.zeros((b, D))


def row_lstm_by_hand(weights, kernel_size, x, context):
    b, h, w, _ = x.shape
    half = kernel_size // 2
    states = {}  # where there is none, nothing
    hidden = np.zeros((b, h, w, D))
    for i in range(h):
        for j in range(w):
            gates = weights["lstm.bias"] + context[:, i, j] @ weights["lstm.context.kernel"]
            # The taps of a masked kernel: the last is the own column, the first the farthest left.
            for tap in range(half + 1):
                n = j - half + tap
                if n >= 0:
                    gates = gates + x[:, i, n] @ weights["inputs.kernel"][0, tap]
            for tap in range(kernel_size):
                above, _ = states.get((i - 1, j - half + tap), nothing(b))
                gates = gates + above @ weights["lstm.kernel"][tap]
            _, cell = states.get((i - 1, j), nothing(b))
            states[i, j] = cell_by_hand(gates, cell)
            hidden[:, i, j] = states[i, j][0]
    return x + hidden @ weights["expand.kernel"] + weights["expand.bias"]


def diagonal_by_hand(weights, name, beside, x, context):
    """The hidden states of one direction; ``beside`` is where it comes from: -1 left, 1 right."""
    b, h, w, _ = x.shape
    inputs, above_kernel, beside_kernel = (
        weights[f"{name}.inputs.kernel"],
        *weights[f"{name}.lstm.kernel"],
    )
    states = {}
    hidden = np.zeros((b, h, w, D))
    for i in range(h):
        for j in range(w) if beside == -1 else reversed(range(w)):
            gates = weights[f"{name}.lstm.bias"]
            gates = gates + context[:, i, j] @ weights[f"{name}.lstm.context.kernel"]
            gates = gates + x[:, i, j] @ inputs
            above, _ = states.get((i - 1, j), nothing(b))
            last, cell = states.get((i, j + beside), nothing(b))
            states[i, j] = cell_by_hand(gates + above @ above_kernel + last @ beside_kernel, cell)
            hidden[:, i, j] = states[i, j][0]
    return hidden


# Recurrences of at most ten float32 steps, which forget.
CLOSE = dict(rtol=1e-4, atol=1e-5)


def a_context(kind, h, w):
    """As the encoder gives it, and spread over the grid."""
    context = normal(2, BATCH, *((h, w) if kind == "map" else (1, 1)), CONTEXT)
    return context, np.broadcast_to(context, (BATCH, h, w, CONTEXT)).astype(np.float64)


@pytest.mark.parametrize(("h", "w", "kernel_size", "kind"), [(4, 6, 3, "map"), (5, 2, 5, "class")])
def test_row_lstm_is_its_equations(h, w, kernel_size, kind):
    block, weights = random_block(
        lambda: RowLSTMBlock(
            D,
            kernel_size=kernel_size,
            context_features=CONTEXT,
            dropout_rate=0.0,
            rngs=nnx.Rngs(0),
        )
    )
    x = normal(1, BATCH, h, w, 2 * D)
    context, spread = a_context(kind, h, w)
    y = jax.jit(block)(x.swapaxes(0, 1), context.swapaxes(0, 1)).swapaxes(0, 1)
    np.testing.assert_allclose(y, row_lstm_by_hand(weights, kernel_size, x, spread), **CLOSE)


@pytest.mark.parametrize(("h", "w", "kind"), [(4, 6, "map"), (5, 2, "class"), (1, 3, "map")])
def test_diagonal_bilstm_is_its_equations(h, w, kind):
    block, weights = random_block(
        lambda: DiagonalBiLSTMBlock(D, context_features=CONTEXT, dropout_rate=0.0, rngs=nnx.Rngs(0))
    )
    x = normal(1, BATCH, h, w, 2 * D)
    context, spread = a_context(kind, h, w)
    expected = diagonal_by_hand(weights, "rightwards", -1, x, spread)
    leftwards = diagonal_by_hand(weights, "leftwards", 1, x, spread)
    # The leftwards states move down by a row, and none comes into the first.
    expected[:, 1:] += leftwards[:, :-1]
    hidden = jax.jit(block.hidden)(x, context)
    np.testing.assert_allclose(hidden, expected, **CLOSE)
    expected = x + expected @ weights["expand.kernel"] + weights["expand.bias"]
    np.testing.assert_allclose(block.output(x, hidden), expected, **CLOSE)


def test_forget_gates_start_open():
    lstm = LineLSTM(2, D, context_features=0, rngs=nnx.Rngs(0))
    cell = normal(0, 1, D)
    _, remembered = lstm_cell(lstm.condition(None)[None], cell)
    # Nothing comes in, since the candidate is zero.
    np.testing.assert_allclose(remembered, sigmoid(1.0) * cell, rtol=1e-6)


# The gradient that is written out.


@functools.partial(jax.jit, static_argnums=0)
def with_gradients(function, terms, kernel, d_hidden):
    hidden, backward = jax.vjp(function, terms, kernel)
    return hidden, *backward(d_hidden)


def line_lstm_for_autodiff(terms, kernel):
    """The same, a tap at a time, with nothing said about its gradient."""
    taps, d, _ = kernel.shape

    def line(state, terms):
        hidden, cell = state
        p = hidden.shape[-2]
        for tap in range(taps):
            # Moved by a product with a matrix that has ones beside its diagonal.
            move = jnp.eye(p, k=tap - taps // 2)
            terms = terms + jnp.einsum("qp,bpd,de->bqe", move, hidden, kernel[tap])
        output, forget, input_, candidate = (terms[..., n * d : (n + 1) * d] for n in range(4))
        cell = jax.nn.sigmoid(forget) * cell + jax.nn.sigmoid(input_) * jnp.tanh(candidate)
        hidden = jax.nn.sigmoid(output) * jnp.tanh(cell)
        return (hidden, cell), hidden

    start = jnp.zeros((*terms.shape[1:-1], d))
    return lax.scan(line, (start, start), terms)[1]


@pytest.mark.parametrize("taps", [2, 3])
def test_the_gradient_of_lines_is_that_of_autodiff(taps):
    terms, kernel = normal(0, 6, BATCH, 4, 4 * D), normal(1, taps, D, 4 * D)
    d_hidden = normal(2, 6, BATCH, 4, D)
    actual = with_gradients(line_lstm, terms, kernel, d_hidden)
    expected = with_gradients(line_lstm_for_autodiff, terms, kernel, d_hidden)
    jax.tree.map(functools.partial(np.testing.assert_allclose, **CLOSE), actual, expected)


def test_two_directions_in_one_scan_are_two_and_so_are_their_gradients():
    terms, kernels = normal(0, 6, 2, BATCH, 4, 4 * D), normal(1, 2, 2, D, 4 * D)
    d_hidden = normal(2, 6, 2, BATCH, 4, D)
    both = jax.vmap(line_lstm, in_axes=(1, 0), out_axes=1)
    hidden, d_terms, d_kernels = with_gradients(both, terms, kernels, d_hidden)
    for n in range(2):
        actual = hidden[:, n], d_terms[:, n], d_kernels[n]
        expected = with_gradients(line_lstm_for_autodiff, terms[:, n], kernels[n], d_hidden[:, n])
        jax.tree.map(functools.partial(np.testing.assert_allclose, **CLOSE), actual, expected)


def test_lines_keep_the_dtype_of_their_terms():
    terms, kernel = normal(0, 3, BATCH, 4, 4 * D), normal(1, 2, D, 4 * D)
    rounded = [jnp.asarray(x, jnp.bfloat16) for x in (terms, kernel)]
    d_hidden = jnp.ones((3, BATCH, 4, D), jnp.bfloat16)
    hidden, d_terms, d_kernel = with_gradients(line_lstm, *rounded, d_hidden)
    assert {x.dtype for x in (hidden, d_terms, d_kernel)} == {jnp.dtype(jnp.bfloat16)}
    # Eight bits, a few times over.
    expected = jax.jit(line_lstm_for_autodiff)(terms, kernel)
    np.testing.assert_allclose(hidden.astype(jnp.float32), expected, atol=0.03)


# Skewing.


def test_skew_by_hand():
    x = np.arange(1, 7).reshape(1, 2, 3, 1)
    expected = [[1, 0], [2, 4], [3, 5], [0, 6]]  # by column
    np.testing.assert_array_equal(skew(x)[:, 0, :, 0], expected)


@pytest.mark.parametrize(("h", "w"), [(4, 6), (5, 2), (1, 4), (3, 1)])
def test_skew_moves_each_row_and_unskew_moves_it_back(h, w):
    x = normal(0, BATCH, h, w, D)
    diagonals = np.asarray(skew(x))
    expected = np.zeros((w + h - 1, BATCH, h, D))
    for i, j in np.ndindex(h, w):
        expected[i + j, :, i] = x[:, i, j]
    np.testing.assert_array_equal(diagonals, expected)
    # Whatever is beside the rows.
    filled = np.where(expected == 0, np.nan, expected)
    np.testing.assert_array_equal(unskew(filled), x)


# What is seen.


def test_a_row_lstm_sees_a_triangle_that_opens_upwards():
    size = 6
    seen = seen_by_row_lstm(size, size)
    assert not (seen & ~everything_before(size, size)).any()
    # From the lower left corner: two columns to the right in the row above, by the first
    # convolution; one more in each row above that, from state to state, in whichever layer.
    for up in range(1, size):
        columns = np.flatnonzero(seen[size - 1, 0, size - 1 - up])
        np.testing.assert_array_equal(columns, np.arange(min(up + 2, size)))


@pytest.mark.parametrize("size", [4, 5, 7])
def test_a_diagonal_bilstm_misses_the_end_of_the_row_above_alone(size):
    seen, earlier = seen_by_diagonal_bilstm(size, size), everything_before(size, size)
    assert not (seen & ~earlier).any()
    reach = 2  # of the first convolution, to the right
    missed = {tuple(map(int, place)) for place in np.argwhere(earlier & ~seen)}
    assert missed == {
        (i, j, i - 1, size - 1) for i in range(1, size) for j in range(size - 1 - reach)
    }


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("name", ["kernel_size", "first_kernel_size"])
def test_kernels_without_a_centre_are_refused(name, size):
    with pytest.raises(InputError, match=f"kernel_size must be odd and at least 3, got {size}"):
        nnx.eval_shape(lambda: RowLSTM(Grid(4, 4, 1, 2), **{name: size}, rngs=nnx.Rngs(0)))

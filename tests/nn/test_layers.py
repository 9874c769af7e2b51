"""Gates, embeddings, contexts and stacks against numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior import Context, Grid
from pixelprior.context import ContextShape
from pixelprior.errors import InputError
from pixelprior.nn.context_encoder import ContextEncoder
from pixelprior.nn.embedding import OUTSIDE, SymbolEmbedding
from pixelprior.nn.gates import gated_activation
from pixelprior.nn.stack import Stack


def test_gated_activation_against_float64():
    # Far into saturation on both sides as well.
    x = np.random.default_rng(0).normal(size=(3, 4, 10)) * np.geomspace(0.1, 100, 4)[:, None]
    value, gate = x[..., :5], x[..., 5:]
    expected = np.tanh(value) * 0.5 * (1 + np.tanh(gate / 2))
    actual = gated_activation(x.astype(np.float32))
    # XLA's float32 tanh is right to a few units in the last place, and inputs were rounded.
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6)


# Symbols.


def test_embedding_is_the_sum_of_table_rows():
    embedding = SymbolEmbedding(3, 5, 4, rngs=nnx.Rngs(0))
    table = np.asarray(embedding.table[...])
    x = np.random.default_rng(0).integers(0, 5, (2, 3, 4, 3), dtype=np.int32)
    expected = sum(table[c][x[..., c]] for c in range(3))
    np.testing.assert_allclose(embedding(x), expected, rtol=1e-6, atol=1e-6)
    # Any leading axes.
    np.testing.assert_allclose(embedding(x[0, 0, 0]), expected[0, 0, 0], rtol=1e-6, atol=1e-6)


def test_outside_is_zero_and_learns_nothing():
    embedding = SymbolEmbedding(2, 3, 4, rngs=nnx.Rngs(0))
    graph, weights = nnx.split(embedding)

    def embed(weights, x):
        return nnx.merge(graph, weights)(x)

    outside = np.full((2, 2), OUTSIDE, np.int32)
    np.testing.assert_array_equal(embed(weights, outside), np.zeros((2, 4)))
    (gradient,) = jax.tree.leaves(jax.grad(lambda w: embed(w, outside).sum())(weights))
    np.testing.assert_array_equal(gradient, np.zeros((2, 3, 4)))
    # One channel outside does not silence the other.
    table = np.asarray(embedding.table[...])
    half = np.array([OUTSIDE, 2], np.int32)
    np.testing.assert_array_equal(embed(weights, half), table[1, 2])


def test_initial_embeddings_put_neighbouring_levels_side_by_side():
    table = np.asarray(SymbolEmbedding(2, 256, 16, rngs=nnx.Rngs(0)).table[...])
    to_neighbour = np.linalg.norm(table[:, 1:] - table[:, :-1], axis=-1).mean()
    to_opposite = np.linalg.norm(table[:, 128:] - table[:, :128], axis=-1).mean()
    assert to_neighbour < 0.5 * to_opposite


# Contexts.

GRID = Grid(2, 3, 1, 4)


def encoder(num_classes=0, map_features=0):
    return ContextEncoder(ContextShape(GRID, num_classes, map_features), 5, rngs=nnx.Rngs(0))


def test_context_is_the_label_row_plus_the_projected_map():
    both = encoder(3, 2)
    label = jnp.array([2, 0])
    map_ = np.random.default_rng(0).normal(size=(2, 2, 3, 2)).astype(np.float32)
    table, kernel = np.asarray(both.label.embedding[...]), np.asarray(both.map.kernel[...])
    both.map.bias[...] = jnp.arange(5.0)
    expected = table[[2, 0]][:, None, None] + map_ @ kernel + np.arange(5)
    actual = both(Context(label=label, map=map_), 2)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_a_label_alone_is_one_vector_for_each_grid():
    labels = encoder(num_classes=3)
    encoded = labels(Context(label=jnp.array([2, 0])), 2)
    assert encoded.shape == (2, 1, 1, 5)
    np.testing.assert_array_equal(encoded[:, 0, 0], labels.label.embedding[...][jnp.array([2, 0])])


def test_no_context_is_none():
    assert encoder()(None, 2) is None
    assert encoder()(Context(), 2) is None


MAP = np.zeros((2, 2, 3, 2), np.float32)
LABEL = np.zeros(2, np.int32)


@pytest.mark.parametrize(
    ("sizes", "context", "message"),
    [
        ((3, 0), None, "conditioned on 3 classes, but no label was given"),
        ((3, 0), Context(), "conditioned on 3 classes, but no label was given"),
        ((0, 0), Context(label=LABEL), "a label was given, but this model has no classes"),
        ((3, 0), Context(label=LABEL[:1]), r"shape \(2,\), got int32 \(1,\)"),
        ((3, 0), Context(label=LABEL[:, None]), r"shape \(2,\), got int32 \(2, 1\)"),
        ((3, 0), Context(label=LABEL.astype(np.float32)), r"integer label.*got float32 \(2,\)"),
        ((3, 0), Context(label=LABEL + 3), r"labels in \[0, 3\), got 3 to 3"),
        ((3, 0), Context(label=LABEL - np.arange(2)), r"labels in \[0, 3\), got -1 to 0"),
        ((0, 2), None, "a map of 2 features, but none was given"),
        ((0, 0), Context(map=MAP), "a map was given, but this model was built without"),
        ((0, 2), Context(map=MAP[:, 1:]), r"shape \(2, 2, 3, 2\), got \(2, 1, 3, 2\)"),
        ((0, 2), Context(map=MAP[..., :1]), r"shape \(2, 2, 3, 2\), got \(2, 2, 3, 1\)"),
        ((3, 2), Context(label=LABEL), "a map of 2 features, but none was given"),
        ((3, 2), Context(map=MAP), "conditioned on 3 classes, but no label was given"),
    ],
)
def test_contexts_that_do_not_fit_are_refused(sizes, context, message):
    with pytest.raises(InputError, match=message):
        encoder(*sizes)(context, 2)


def test_no_grids_need_no_labels():
    assert encoder(3)(Context(label=LABEL[:0]), 0).shape == (0, 1, 1, 5)


def test_labels_are_not_looked_at_while_tracing():
    labels = encoder(num_classes=3)
    encoded = jax.jit(lambda label: labels(Context(label=label), 2))(LABEL)
    np.testing.assert_array_equal(encoded, labels(Context(label=LABEL), 2))
    # Shapes are known, and looked at.
    with pytest.raises(InputError, match="one integer label per grid"):
        jax.jit(lambda label: labels(Context(label=label), 3))(LABEL)


# Stacks.


class Affine(nnx.Module):
    def __init__(self, rngs):
        self.weight = nnx.Param(jax.random.normal(rngs.params(), (3, 3)))

    def __call__(self, x):
        return jnp.tanh(x @ self.weight[...])


def test_scan_is_a_loop_over_the_layers():
    stack = Stack(Affine, 4, rngs=nnx.Rngs(0))
    x = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    scales = jnp.arange(1.0, 5.0)

    def apply(layer, x, scale):
        y = layer(x)
        return y, scale * y

    last, outputs = stack.scan(apply, x, scales)
    layers = stack.unstack()
    assert len(layers) == 4
    expected = []
    for index, layer in enumerate(layers):
        np.testing.assert_array_equal(layer.weight[...], stack.layers.weight[...][index])
        x = np.tanh(x @ np.asarray(layer.weight[...]))
        expected.append((index + 1) * x)
    np.testing.assert_allclose(last, x, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


def test_layers_of_a_stack_start_differently():
    weights = np.asarray(Stack(Affine, 3, rngs=nnx.Rngs(0)).layers.weight[...])
    assert weights.shape == (3, 3, 3)
    assert all((weights[i] != weights[j]).all() for i, j in [(0, 1), (0, 2), (1, 2)])


def test_an_empty_stack_is_refused():
    with pytest.raises(InputError, match="num_layers must be an integer of at least 1, got 0"):
        Stack(Affine, 0, rngs=nnx.Rngs(0))

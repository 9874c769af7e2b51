"""Labels hidden for guidance, and models that know the null class."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior import Context, Grid
from pixelprior.context import ContextShape, hide_condition
from pixelprior.errors import InputError
from pixelprior.nn.context_encoder import ContextEncoder

GRID = Grid(2, 3, 1, 4)


def hidden_at(rate, context, seed=0):
    keys = jax.random.split(jax.random.key(seed), len(jax.tree.leaves(context)[0]))
    return hide_condition(context, rate, keys)


def test_conditions_are_hidden_at_the_rate_and_nothing_else_changes():
    label = jnp.arange(30_000) % 7
    vector = jnp.ones((len(label), 2))
    context = hidden_at(0.3, Context(label=label, vector=vector))
    hidden = np.asarray(context.hidden)
    # Five standard deviations of a binomial.
    assert abs(hidden.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / len(label))
    # Whatever the class.
    of_class = hidden[np.asarray(label) == 0]
    assert abs(of_class.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 4_000)
    assert context.label is label and context.vector is vector
    assert (hidden_at(0.3, Context(label=label), seed=1).hidden != hidden).any()
    assert hidden_at(0.0, Context(label=label)).hidden is None
    assert hide_condition(None, 0.3, jax.random.split(jax.random.key(0), 4)) is None


def test_the_key_of_an_image_alone_decides_whether_its_condition_is_hidden():
    keys = jax.random.split(jax.random.key(0), 40)
    together = hide_condition(Context(vector=jnp.ones((40, 2))), 0.5, keys).hidden
    for start, size in ((0, 1), (7, 3), (30, 10)):
        rows = slice(start, start + size)
        alone = hide_condition(Context(label=jnp.arange(size)), 0.5, keys[rows]).hidden
        np.testing.assert_array_equal(alone, together[rows])


def test_no_label_is_the_null_class():
    encoder = ContextEncoder(ContextShape(GRID, 3, null_class=True), 5, rngs=nnx.Rngs(0))
    assert encoder.label.embedding.shape == (4, 5)
    given = encoder(Context(label=jnp.array([3, 3])), 2)
    for context in (None, Context()):
        np.testing.assert_array_equal(encoder(context, 2), given)
    assert (encoder(Context(label=jnp.array([0, 3])), 2)[0] != given[0]).any()


@pytest.mark.parametrize("null_class", [False, True])
def test_labels_beyond_the_classes_are_refused(null_class):
    shape = ContextShape(GRID, 3, null_class=null_class)
    with pytest.raises(InputError, match=r"labels in \[0, 3\), got 4 to 4"):
        shape.check(Context(label=np.array([4])), 1)
    if null_class:
        shape.check(Context(label=np.array([3])), 1)
    else:
        with pytest.raises(InputError, match=r"labels in \[0, 3\), got 3 to 3"):
            shape.check(Context(label=np.array([3])), 1)


def encoder_of(num_classes=3, vector_features=2):
    shape = ContextShape(GRID, num_classes, null_class=True, vector_features=vector_features)
    return ContextEncoder(shape, 5, rngs=nnx.Rngs(0))


def test_a_class_and_a_vector_add_up_and_are_hidden_together():
    encoder, label = encoder_of(), np.array([0, 2, 1])
    vector = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    hidden = np.array([False, True, False])
    table, null = (np.asarray(x.embedding[...]) for x in (encoder.label, encoder.null_vector))
    kernel, bias = (np.asarray(x[...]) for x in (encoder.vector.kernel, encoder.vector.bias))
    expected = table[label] + vector @ kernel + bias
    expected[1] = table[3] + null[0]
    given = encoder(Context(label=jnp.asarray(label), vector=vector, hidden=hidden), 3)
    assert given.shape == (3, 1, 1, 5)
    np.testing.assert_allclose(given[:, 0, 0], expected, rtol=1e-5)
    # Nothing at all is the same as everything hidden.
    for context in (None, Context()):
        np.testing.assert_array_equal(encoder(context, 3), jnp.repeat(given[1:2], 3, axis=0))


def test_a_hidden_vector_moves_no_weights_of_vectors():
    encoder = encoder_of(num_classes=0)
    graph, weights = nnx.split(encoder)

    def total(weights, hidden):
        context = Context(vector=jnp.array([[1e30, -2.0]]), hidden=jnp.array([hidden]))
        return nnx.merge(graph, weights)(context, 1).sum()

    hidden, shown = (jax.grad(total)(weights, hidden) for hidden in (True, False))
    assert not np.any(hidden["vector"]["kernel"][...])
    assert np.all(np.asarray(hidden["null_vector"]["embedding"][...]) == 1)
    assert np.all(np.asarray(shown["vector"]["kernel"][...]) != 0)
    assert not np.any(shown["null_vector"]["embedding"][...])


VECTOR = np.zeros((2, 3), np.float32)


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (None, "conditioned on a vector of 3 numbers, but no vector was given; give vector"),
        (Context(label=np.array([0, 0])), "a label was given, but this model has no classes"),
        (Context(vector=[[0.0] * 3] * 2), "vectors as an array of floats, got list"),
        (Context(vector=np.zeros((2, 3), int)), "vectors as an array of floats, got int64"),
        (Context(vector=VECTOR[:, :2]), r"vectors of shape \(2, 3\), got \(2, 2\)"),
        (Context(vector=VECTOR[0]), r"vectors of shape \(2, 3\), got \(3,\)"),
        (Context(vector=VECTOR + np.nan), "vectors of finite numbers, got NaN"),
        (Context(vector=VECTOR - np.inf), "vectors of finite numbers, got NaN or infinity"),
        (Context(vector=VECTOR, hidden=np.ones(2, bool)), "hidden only from a model with a null"),
    ],
)
def test_contexts_that_do_not_fit_a_vector_are_refused(context, message):
    shape = ContextShape(GRID, vector_features=3)
    shape.check(Context(vector=VECTOR), 2)
    with pytest.raises(InputError, match=message):
        shape.check(context, 2)


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (Context(label=np.array([0, 1])), "no vector was given, and it takes both or neither"),
        (Context(vector=VECTOR), "no label was given, and it takes both or neither"),
        (Context(hidden=[True, False]), r"one bool per grid, shape \(2,\), got \[True, False\]"),
        (Context(hidden=np.ones(3, bool)), r"one bool per grid, shape \(2,\), got bool \(3,\)"),
        (Context(hidden=np.ones(2, int)), r"one bool per grid, shape \(2,\), got int64 \(2,\)"),
    ],
)
def test_half_a_condition_is_refused(context, message):
    shape = ContextShape(GRID, 2, vector_features=3, null_class=True)
    shape.check(None, 2)
    with pytest.raises(InputError, match=message):
        shape.check(context, 2)


def test_a_model_without_vectors_refuses_them():
    with pytest.raises(InputError, match="built without vector_features"):
        ContextShape(GRID, 2).check(Context(label=np.array([0]), vector=VECTOR[:1]), 1)
    with pytest.raises(InputError, match="vector_features"):
        ContextShape(GRID, vector_features=-1)

"""Labels hidden for guidance, and models that know the null class."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior import Context, Grid
from pixelprior.context import ContextShape, hide_labels
from pixelprior.errors import InputError
from pixelprior.nn.context_encoder import ContextEncoder

GRID = Grid(2, 3, 1, 4)


def test_labels_are_hidden_at_the_rate_and_all_others_stay():
    label = jnp.arange(30_000) % 7
    hidden = np.asarray(hide_labels(label, 7, 0.3, jax.random.split(jax.random.key(0), len(label))))
    gone = hidden == 7
    # Five standard deviations of a binomial.
    assert abs(gone.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / len(label))
    np.testing.assert_array_equal(hidden[~gone], np.asarray(label)[~gone])
    # Whatever the class.
    assert abs(gone[np.asarray(label) == 0].mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 4_000)
    assert (
        hide_labels(label, 7, 0.3, jax.random.split(jax.random.key(1), len(label))) != hidden
    ).any()


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

"""Public methods called outside of compiled code compile once per shape, and leak nothing.

Linux gives a process 65,530 memory mappings; a program that is compiled takes some, and XLA crashes
where there are no more.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior import Context, Grid
from pixelprior.evaluation.receptive_field import receptive_field
from pixelprior.models.base import AutoregressiveModel
from pixelprior.sampling import sample, sample_rows
from tests.compilations import compilations, mappings
from tests.models.catalogue import MODELS, SHIPPED
from tests.release import slow_cases

GRID = Grid(4, 3, 2, 5)
MORE_CALLS = 5


def position_by_position(model, context):
    cache = model.init_cache(2, context)
    cache, above, left = model.start_row(cache, jnp.asarray(1))
    pixels = jnp.zeros((2, GRID.width, GRID.channels), jnp.int32)
    _, _, traces = model.step(above, left, pixels)
    return model.end_row(cache, pixels[:, None], traces)


def uses(model, x, context):
    """Everything a model can be asked, by name."""
    key = jax.random.key(1)
    common = {
        "log_prob": lambda: model.log_prob(x, context),
        "training": lambda: model.log_prob(x, context, dropout_key=key),
        "logits": lambda: model.logits(x, context),
        "sample": lambda: sample(model, key, 2, context=context),
        "sample_rows": lambda: list(sample_rows(model, key, 2, context=context)),
    }
    if not isinstance(model, AutoregressiveModel):
        return common
    return common | {
        "features": lambda: model.features(x, context),
        "pixel_log_prob": lambda: model.pixel_log_prob(x, context),
        "steps": lambda: position_by_position(model, context),
        "receptive_field": lambda: receptive_field(model, key=key, images=x, context=context),
    }


@pytest.mark.parametrize("name", slow_cases(SHIPPED, "gated_pixel_cnn"))
def test_a_second_call_compiles_nothing_and_keeps_nothing(name):
    model = MODELS[name].make(GRID, num_classes=3, dropout_rate=0.1, rngs=nnx.Rngs(0))
    x = jax.random.randint(jax.random.key(0), (2, *GRID.shape), 0, GRID.levels)
    context = Context(label=jnp.array([0, 2]))
    for use_name, use in uses(model, x, context).items():
        # Twice: what the first call gives may be given to the second.
        first = use(), use()
        with compilations() as compiled:
            before = mappings()
            again = [use() for _ in range(MORE_CALLS)]
            kept = mappings() - before
        assert not compiled, use_name
        # Results lie in memory too: one mapping of their own, at times.
        assert kept <= MORE_CALLS, use_name
        for one in again:
            jax.tree.map(np.testing.assert_array_equal, one, first[1])


def test_equal_models_share_their_programs():
    make = MODELS["gated_pixel_cnn"].make
    x = jnp.zeros((1, *GRID.shape), jnp.int32)
    first = make(GRID, rngs=nnx.Rngs(1)).log_prob(x)
    other = make(GRID, rngs=nnx.Rngs(2))
    with compilations() as compiled:
        second = other.log_prob(x)
    assert not compiled
    assert second != first


def test_gradients_go_through():
    model = MODELS["gated_pixel_cnn"].make(GRID, rngs=nnx.Rngs(0))
    x = jax.random.randint(jax.random.key(0), (2, *GRID.shape), 0, GRID.levels)
    graph, weights = nnx.split(model)

    def loss(weights):
        return -nnx.merge(graph, weights).log_prob(x).sum()

    eager, whole = jax.grad(loss)(weights), jax.jit(jax.grad(loss))(weights)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), eager, whole)


@pytest.mark.parametrize("name", ["gated_pixel_cnn", "multi_scale"])
def test_weights_that_change_are_looked_at_anew(name):
    model = MODELS[name].make(GRID, rngs=nnx.Rngs(0))
    x = jnp.zeros((1, *GRID.shape), jnp.int32)
    before = model.log_prob(x)
    nnx.update(model, jax.tree.map(lambda w: 2.0 * w, nnx.state(model)))
    assert model.log_prob(x) != before

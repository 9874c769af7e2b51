"""The settings that all models have: head, compute dtype, rematerialisation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior import Context, Grid, sample
from pixelprior.errors import InputError
from pixelprior.nn.logistic_mixture_head import LogisticMixtureHead
from pixelprior.nn.softmax_head import SoftmaxHead
from tests.models.catalogue import SHIPPED
from tests.release import slow_cases

GRID = Grid(4, 5, 1, 6)
CONTEXT = Context(label=jnp.arange(2), map=jnp.ones((2, 4, 5, 3)))

every_model = pytest.mark.parametrize("name", SHIPPED)
# A stack of convolutions, an LSTM and attention. The others are made of these, or look like them.
slow_for_some = pytest.mark.parametrize(
    "name", slow_cases(SHIPPED, "gated_pixel_cnn", "row_lstm", "transformer")
)


def random_model(name, grid=GRID, scale=0.3, **settings):
    graph, shapes = nnx.split(
        nnx.eval_shape(lambda: SHIPPED[name].make(grid, **settings, rngs=nnx.Rngs(0)))
    )
    rng = np.random.default_rng(0)
    return graph, jax.tree.map(
        lambda s: jnp.asarray(scale * rng.normal(size=s.shape), s.dtype), shapes
    )


@functools.partial(jax.jit, static_argnames="graph")
def value_and_gradient(graph, weights, x, context):
    return jax.value_and_grad(
        lambda w: nnx.merge(graph, w).log_prob(x, context, dropout_key=jax.random.key(0)).mean()
    )(weights)


def some_grids(grid=GRID):
    rng = np.random.default_rng(1)
    return jnp.asarray(rng.integers(0, grid.levels, (2, *grid.shape)), jnp.int32)


def product_dtypes(jaxpr):
    """The type of every matrix product in a program, loops included."""
    found = []
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            found.append(equation.outvars[0].aval.dtype)
        for inner in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")
        ):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                found += product_dtypes(inner)
    return found


@slow_for_some
def test_bfloat16_is_for_the_network_and_nothing_else(name):
    both = dict(num_classes=2, map_features=3)
    graph, weights = random_model(name, dtype="bfloat16", **both)
    exact, _ = random_model(name, **both)
    # What is trained, and what comes back to train it, is float32.
    value, gradient = value_and_gradient(graph, weights, some_grids(), CONTEXT)
    assert value.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves((weights, gradient))} == {jnp.dtype("float32")}
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    # 8 bits of mantissa, through a few layers; and it does make a difference.
    expected, expected_gradient = value_and_gradient(exact, weights, some_grids(), CONTEXT)
    assert value != expected
    np.testing.assert_allclose(value, expected, rtol=0.02)
    ours, theirs = (
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(g)])
        for g in (gradient, expected_gradient)
    )
    cosine = ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs)
    assert cosine > 0.98
    # The network's products are bfloat16, the head's (two of them, one channel) are not.
    program = jax.make_jaxpr(lambda w: nnx.merge(graph, w).log_prob(some_grids(), CONTEXT))(weights)
    dtypes = product_dtypes(program.jaxpr)
    heads = 2 if name == "multi_scale" else 1
    assert dtypes.count(jnp.dtype("float32")) <= 2 * heads + 2
    assert dtypes.count(jnp.dtype("bfloat16")) > dtypes.count(jnp.dtype("float32"))


@slow_for_some
def test_a_bfloat16_model_is_drawn_from(name):
    # Rounding differs between the two ways to run, so a few symbols may: in float32 none does.
    model = nnx.merge(*random_model(name, dtype="bfloat16", num_classes=2, map_features=3))
    cached, naive = (
        np.asarray(sample(model, jax.random.key(0), 2, context=CONTEXT, method=method))
        for method in ("cached", "naive")
    )
    GRID.check(cached)
    assert (cached == naive).mean() > 0.6


@slow_for_some
def test_remat_changes_memory_and_nothing_else(name):
    if not SHIPPED[name].rematerialises:
        pytest.skip("it has few features beside its kernels")
    # Large enough for what layers hold to outweigh all else.
    grid = Grid(8, 8, 1, 2)
    sizes = {**SHIPPED[name].deep(4), "features": 32, "dropout_rate": 0.3}
    x = some_grids(grid)
    kept, weights = random_model(name, grid, scale=0.1, **sizes)
    computed_anew, _ = random_model(name, grid, **sizes, remat=True)
    programs = [
        value_and_gradient.lower(graph, weights, x, None).compile()
        for graph in (kept, computed_anew)
    ]
    (value, gradient), (same_value, same_gradient) = (run(weights, x, None) for run in programs)
    # The same sums; the compiler may fuse them differently.
    np.testing.assert_allclose(same_value, value, rtol=1e-5)
    for ours, theirs in zip(jax.tree.leaves(same_gradient), jax.tree.leaves(gradient), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    before, after = (run.memory_analysis().temp_size_in_bytes for run in programs)
    assert after < 0.8 * before


@every_model
def test_the_head_is_a_setting(name):
    for head, kind in (("softmax", SoftmaxHead), ("logistic_mixture", LogisticMixtureHead)):
        model = nnx.eval_shape(
            lambda head=head: SHIPPED[name].make(GRID, head=head, rngs=nnx.Rngs(0))
        )
        assert all(type(stage.model.head) is kind for stage in model.stages())


@every_model
def test_settings_that_do_not_exist_are_refused(name):
    for setting, message in (
        ({"head": "gaussian"}, "head must be one of softmax, logistic_mixture, got 'gaussian'"),
        ({"dtype": "float16"}, "dtype must be one of float32, bfloat16, got 'float16'"),
    ):
        with pytest.raises(InputError, match=message):
            nnx.eval_shape(
                lambda setting=setting: SHIPPED[name].make(GRID, **setting, rngs=nnx.Rngs(0))
            )

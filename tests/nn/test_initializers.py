"""Initial weights are those of JAX's own initialisers, bit for bit, with few compilations.

Without most optimisations JAX itself rounds the numbers of one shape otherwise than those of
another.
"""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior import GatedPixelCNN, Grid
from pixelprior.nn import initializers
from pixelprior.nn.embedding import SymbolEmbedding
from pixelprior.nn.stack import Stack
from tests.compilations import compilations
from tests.xla_flags import OPTIMIZE

as_users_compile_only = pytest.mark.skipif(
    OPTIMIZE not in os.environ, reason=f"for programs as users compile them: set {OPTIMIZE}=1"
)

SHAPES = [(3, 5), (1, 1), (7, 7, 1, 5), (1, 3, 16, 64), (4, 20, 2_048)]
"""The last one has more numbers than the shortest vector."""


@as_users_compile_only
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_fan_in_is_that_of_jax(shape, scale):
    inputs = tuple(range(len(shape) - 1))
    theirs = jax.nn.initializers.variance_scaling(
        scale, "fan_in", "truncated_normal", in_axis=inputs, out_axis=-1
    )
    key = jax.random.key(3)
    np.testing.assert_array_equal(initializers.fan_in(scale)(key, shape), theirs(key, shape))


@as_users_compile_only
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (initializers.linear, nnx.Linear),
        (initializers.embed, nnx.Embed),
        (
            lambda d, e, rngs: initializers.conv(d, e, (3, 2), rngs=rngs),
            lambda d, e, rngs: nnx.Conv(d, e, (3, 2), rngs=rngs),
        ),
        (
            lambda d, e, rngs: initializers.layer_norm(d, rngs=rngs),
            lambda d, e, rngs: nnx.LayerNorm(d, rngs=rngs),
        ),
    ],
)
def test_layers_start_as_those_of_flax(ours, theirs):
    ours, theirs = (nnx.state(make(11, 7, rngs=nnx.Rngs(2))) for make in (ours, theirs))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_uniform_is_that_of_jax(impl):
    key = jax.random.key(1, impl=impl)
    theirs = jax.random.uniform(key, (2, 9, 3), jnp.float32, -0.25, 0.25)
    ours = initializers.uniform(key, (2, 9, 3), bound=0.25)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_an_embedding_starts_as_lines_with_noise(channels):
    embedding = SymbolEmbedding(channels, 16, 5, rngs=nnx.Rngs(4))
    direction_key, noise_key = jax.random.split(nnx.Rngs(4).params())
    values = jnp.linspace(-1.0, 1.0, 16)[None, :, None]
    lines = values * jax.random.normal(direction_key, (channels, 1, 5))
    noise = 0.1 * jax.random.normal(noise_key, (channels, 16, 5))
    expected = (lines + noise) / jnp.sqrt(channels)
    np.testing.assert_array_equal(embedding.table[...], expected)


def test_a_stack_starts_as_by_vmap_and_leaves_the_streams_where_vmap_does():
    def make(rngs):
        return nnx.Linear(5, 3, rngs=rngs)

    ours, theirs = nnx.Rngs(params=1, dropout=2), nnx.Rngs(params=1, dropout=2)
    stack = Stack(make, 4, rngs=ours)
    layers = nnx.split_rngs(splits=4)(nnx.vmap(make, in_axes=0, out_axes=0))(theirs)
    jax.tree.map(np.testing.assert_array_equal, nnx.state(stack.layers), nnx.state(layers))
    for stream in ("params", "dropout"):
        keys = (jax.random.key_data(rngs[stream]()) for rngs in (ours, theirs))
        np.testing.assert_array_equal(*keys)


def test_weights_can_be_traced():
    shapes = nnx.state(nnx.eval_shape(lambda: Stack(make_linear, 2, rngs=nnx.Rngs(0))))
    weights = nnx.state(Stack(make_linear, 2, rngs=nnx.Rngs(0)))
    assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, weights)


def make_linear(rngs):
    return initializers.linear(4, 3, rngs=rngs)


def test_models_of_other_widths_compile_little_more():
    def build(features):
        return GatedPixelCNN(Grid(6, 5, 2, 4), features=features, num_layers=3, rngs=nnx.Rngs(0))

    build(12)
    # All of their weights, some twenty, have other shapes.
    with compilations() as compiled:
        build(20)
    assert len(compiled) <= 2

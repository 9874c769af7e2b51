"""Networks that see everything around them, and codes carried up to a finer grid."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.nn.code_context import CodeContext
from pixelprior.nn.residual import Downsample, ResidualBlock, ResidualTower, Upsample, spread


def filled(make, seed=0):
    """A module with random weights; only traced, since real initial ones take long to compile."""
    graph, shapes = nnx.split(nnx.eval_shape(make))
    rng = np.random.default_rng(seed)
    return nnx.merge(
        graph, jax.tree.map(lambda s: jnp.asarray(0.5 * rng.normal(size=s.shape), s.dtype), shapes)
    )


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def numpy_conv(x, conv, stride=1):
    """A convolution with SAME padding, tap by tap, in float64."""
    kernel, bias = np.float64(conv.kernel[...]), np.float64(conv.bias[...])
    k = kernel.shape[0]
    b, h, w, _ = x.shape
    total = k - stride
    x = np.pad(x, [(0, 0), *[(total // 2, total - total // 2)] * 2, (0, 0)])
    y = np.zeros((b, h // stride, w // stride, kernel.shape[-1])) + bias
    for i in range(k):
        for j in range(k):
            tap = x[:, i : i + h : stride, j : j + w : stride]
            y += tap[:, : h // stride, : w // stride] @ kernel[i, j]
    return y


def numpy_spread(x, f):
    b, h, w, c = x.shape
    d = c // f**2
    y = np.zeros((b, f * h, f * w, d), x.dtype)
    for n, i, j, row, column in np.ndindex(b, h, w, f, f):
        first = (row * f + column) * d
        y[n, f * i + row, f * j + column] = x[n, i, j, first : first + d]
    return y


def numpy_tower(x, tower):
    x = numpy_conv(x, tower.first)
    for block in tower.blocks:
        hidden = np.maximum(numpy_conv(np.maximum(x, 0), block.wide), 0)
        x = x + hidden @ np.float64(block.back.kernel[...]) + np.float64(block.back.bias[...])
    return np.maximum(x, 0)


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("d", [1, 2])
def test_spread_is_the_loop_written_by_hand(factor, d):
    x = normal(0, 2, 3, 2, factor**2 * d)
    np.testing.assert_array_equal(spread(jnp.asarray(x), factor), numpy_spread(x, factor))


FACTORS = {1: [1], 2: [2], 3: [3], 4: [2, 2], 6: [2, 3]}


@pytest.mark.parametrize("stride", FACTORS)
def test_down_and_up_against_float64(stride):
    factors, h, w = FACTORS[stride], 2, 3
    down = filled(lambda: Downsample(2, 6, stride, rngs=nnx.Rngs(0)))
    x = normal(1, 2, stride * h, stride * w, 2)
    wanted = np.float64(x)
    assert len(down.convs) == len(factors)
    for factor, conv in zip(factors, down.convs, strict=True):
        assert conv.kernel.shape[:2] == (2 * factor, 2 * factor)
        wanted = np.maximum(numpy_conv(wanted, conv, factor), 0)
    found = down(jnp.asarray(x))
    assert found.shape == (2, h, w, 6)
    # Sums of up to 36 x 3 terms of size 1.
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)

    up = filled(lambda: Upsample(6, 2, stride, rngs=nnx.Rngs(0)))
    x = normal(2, 2, h, w, 6)
    wanted = np.float64(x)
    for number, (factor, conv) in enumerate(zip(factors, up.convs, strict=True)):
        wanted = np.maximum(wanted, 0) if number else wanted
        wanted = numpy_spread(numpy_conv(wanted, conv), factor)
    found = up(jnp.asarray(x))
    assert found.shape == (2, stride * h, stride * w, 2)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    # Half of the features on the way; nothing cuts off what is below zero at the end.
    assert [conv.kernel.shape[2] for conv in up.convs] == [6, 3][: len(factors)]
    assert np.asarray(found).min() < 0


def test_half_of_one_feature_is_one():
    assert filled(lambda: Downsample(1, 1, 4, rngs=nnx.Rngs(0)))(jnp.ones((1, 4, 4, 1))).size == 1
    assert filled(lambda: Upsample(1, 1, 4, rngs=nnx.Rngs(0)))(jnp.ones((1, 1, 1, 1))).size == 16


@pytest.mark.parametrize("depth", [0, 2])
def test_a_tower_against_float64_and_never_negative(depth):
    tower = filled(lambda: ResidualTower(2, 4, r=3, depth=depth, rngs=nnx.Rngs(0)))
    x = normal(3, 2, 3, 4, 2)
    found = np.asarray(tower(jnp.asarray(x)))
    np.testing.assert_allclose(found, numpy_tower(np.float64(x), tower), rtol=1e-4, atol=1e-4)
    assert (found >= 0).all() and (found > 0).any() and (found == 0).any()


def test_a_block_that_adds_nothing_is_the_identity():
    block = filled(lambda: ResidualBlock(4, 3, rngs=nnx.Rngs(0)))
    block.back.kernel[...] = jnp.zeros((3, 4))
    block.back.bias[...] = jnp.zeros(4)
    x = normal(4, 1, 3, 3, 4)
    np.testing.assert_array_equal(block(jnp.asarray(x)), x)


# Codes carried up: 2 x 3 codes of two codebooks, then 4 x 6 codes, to a grid of 12 x 18.

COARSER = (Grid(2, 3, 2, 4), Grid(4, 6, 1, 5))
FINE = Grid(12, 18, 1, 5)


@functools.cache
def graph_and_shapes(coarser, fine, num_blocks=1):
    return nnx.split(
        nnx.eval_shape(
            lambda: CodeContext(coarser, fine, features=4, num_blocks=num_blocks, rngs=nnx.Rngs(0))
        )
    )


def random_weights(shapes, seed):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda s: jnp.asarray(0.5 * rng.normal(size=s.shape), s.dtype), shapes)


@functools.partial(jax.jit, static_argnames="graph")
def carry(graph, weights, codes):
    return nnx.merge(graph, weights)(codes)


def random_codes(coarser, batch, seed):
    rng = np.random.default_rng(seed)
    return [
        np.repeat(rng.integers(0, grid.levels, (1, *grid.shape)), batch, axis=0).astype(np.int32)
        for grid in coarser
    ]


def test_the_map_of_codes_against_float64():
    graph, shapes = graph_and_shapes(COARSER, FINE)
    context = nnx.merge(graph, random_weights(shapes, 0))
    codes = random_codes(COARSER, 1, 0)
    x = 0.0
    for n, ratio in enumerate((2, 3)):
        table = np.float64(context.embeddings[n].table[...])
        x = x + sum(table[c][codes[n][..., c]] for c in range(table.shape[0]))
        x = numpy_conv(numpy_tower(x, context.towers[n]), context.upsamples[n].convs[0])
        x = numpy_spread(x, ratio)
    found = carry(graph, random_weights(shapes, 0), codes)
    assert found.shape == (1, 12, 18, 4)
    # Through six convolutions, each of some 36 terms.
    np.testing.assert_allclose(found, x, rtol=1e-3, atol=1e-3 * np.abs(x).max())


def reached(coarser, fine, changed):
    """Which places of the map a change of one code of grid number ``changed`` reaches, for each."""
    graph, shapes = graph_and_shapes(coarser, fine)
    grid = coarser[changed]
    seen = np.zeros((grid.size, fine.height, fine.width), bool)
    # A change may leave a feature as it is, where a relu is off: so over several weights.
    for seed in range(6):
        weights, codes = random_weights(shapes, seed), random_codes(coarser, grid.size, seed)
        other = codes[changed].reshape(grid.size, -1).copy()
        np.einsum("nn->n", other)[:] += 1
        changed_codes = list(codes)
        changed_codes[changed] = (other % grid.levels).reshape(codes[changed].shape)
        before, after = (np.asarray(carry(graph, weights, c)) for c in (codes, changed_codes))
        seen |= (before != after).any(axis=-1)
    return seen.reshape(*grid.shape, fine.height, fine.width)


@pytest.mark.parametrize("changed", [0, 1])
def test_the_map_depends_on_the_codes_of_every_coarser_level(changed):
    seen = reached(COARSER, FINE, changed)
    # Every code of every codebook somewhere, and every place of the map on some code.
    assert seen.any(axis=(3, 4)).all()
    assert seen.any(axis=(0, 1, 2)).all()


def test_a_code_is_told_where_it_is_and_not_far_away():
    # One grid of 6 x 9 codes to one of 12 x 18. A tower of one block sees 2 codes to each side,
    # and the upsampling one more.
    coarse, fine = Grid(6, 9, 1, 5), Grid(12, 18, 1, 5)
    seen = reached((coarse,), fine, 0)[:, :, 0]
    for i, j in np.ndindex(6, 9):
        distance = np.maximum(
            np.abs(np.arange(12) // 2 - i)[:, None], np.abs(np.arange(18) // 2 - j)[None]
        )
        assert seen[i, j][distance == 0].all()
        assert seen[i, j][distance == 1].any()
        assert not seen[i, j][distance > 3].any()


def test_codes_and_grids_that_do_not_fit_are_refused():
    for fine in (Grid(12, 12, 1, 5), Grid(6, 6, 1, 5), Grid(2, 3, 1, 5), Grid(5, 6, 1, 5)):
        with pytest.raises(InputError, match=f"one multiple of 4 x 6, got {fine.height} x "):
            graph_and_shapes(COARSER, fine)
    with pytest.raises(InputError, match="one multiple of 4 x 6, got 2 x 3"):
        graph_and_shapes(COARSER[::-1], FINE)
    graph, shapes = graph_and_shapes(COARSER, FINE)
    context = nnx.merge(graph, random_weights(shapes, 0))
    codes = random_codes(COARSER, 1, 0)
    with pytest.raises(InputError, match=r"\[batch, 4, 6, 1\], got \(1, 2, 3, 1\)"):
        context([codes[0], codes[1][:, :2, :3]])
    with pytest.raises(InputError, match=r"expected symbols in \[0, 4\)"):
        context([codes[0] + 4, codes[1]])
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        context(codes[:1])

"""Attention over grids, against a double loop in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior.errors import InputError
from pixelprior.nn.attention import CHUNKS, CausalAttention, attend

HEADS, FEATURES = 2, 3


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def attend_by_loops(query, key, value, window_rows):
    """Softmax over the positions that are seen, one query at a time."""
    attended = np.zeros_like(value)
    batch, height, width, heads, features = query.shape
    for b, i, j, n in np.ndindex(batch, height, width, heads):
        seen = [
            (k, m)
            for k in range(max(0, i - window_rows), i + 1)
            for m in range(width)
            if (k, m) <= (i, j)
        ]
        scores = np.array([query[b, i, j, n] @ key[b, k, m, n] for k, m in seen])
        weights = np.exp(scores / np.sqrt(features))
        weights /= weights.sum()
        attended[b, i, j, n] = sum(
            w * value[b, k, m, n] for w, (k, m) in zip(weights, seen, strict=True)
        )
    return attended


# More rows than chunks, as many, fewer, one; windows of no row, some rows, just all, more than all.
SHAPES = [
    ((CHUNKS + 3, 2), 64),
    ((CHUNKS + 3, 3), 1),
    ((5, 4), 0),
    ((5, 3), 2),
    ((4, 2), 3),
    ((1, 5), 64),
]


@pytest.mark.parametrize(("shape", "window_rows"), SHAPES)
def test_attention_is_softmax_over_what_came_before(shape, window_rows):
    query, key, value = (numbers(2, *shape, HEADS, FEATURES, seed=n) for n in range(3))
    attended = jax.jit(attend, static_argnums=3)(
        *(jnp.asarray(x, jnp.float32) for x in (query, key, value)), window_rows
    )
    expected = attend_by_loops(query, key, value, window_rows)
    # Averages of numbers of size 1, in float32.
    np.testing.assert_allclose(attended, expected, rtol=0, atol=2e-6)


def test_large_scores_do_not_overflow():
    query, key, value = (numbers(1, 4, 3, HEADS, FEATURES, seed=n) for n in range(3))
    arrays = [jnp.asarray(x, jnp.float32) for x in (100 * query, 100 * key, value)]
    gradient = jax.jit(jax.grad(lambda *x: attend(*x, 64).sum(), argnums=(0, 1, 2)))(*arrays)
    assert all(np.isfinite(part).all() for part in gradient)
    assert np.isfinite(jax.jit(attend, static_argnums=3)(*arrays, 64)).all()


def test_the_softmax_is_taken_in_float32():
    arrays = [jnp.asarray(numbers(1, 6, 5, HEADS, FEATURES, seed=n), "bfloat16") for n in range(3)]
    attended = jax.eval_shape(lambda *x: attend(*x, 64), *arrays)
    assert attended.dtype == jnp.bfloat16
    program = str(jax.make_jaxpr(lambda *x: attend(*x, 64))(*arrays))
    exponentials = [line for line in program.splitlines() if " exp " in line]
    assert exponentials and all("f32[" in line.split("=")[0] for line in exponentials)


@functools.cache
def layer(window_rows):
    make = nnx.jit(
        lambda: CausalAttention(
            5, HEADS * FEATURES, num_heads=HEADS, window_rows=window_rows, rngs=nnx.Rngs(0)
        )
    )
    return make()


@pytest.mark.parametrize("window_rows", [64, 1])
def test_the_layer_projects_attends_and_projects_back(window_rows):
    attention, x = layer(window_rows), numbers(2, 4, 3, 5)
    kernel = np.asarray(attention.project.kernel[...], np.float64)
    query, key, value = (
        part.reshape(2, 4, 3, HEADS, FEATURES) for part in np.split(x @ kernel, 3, axis=-1)
    )
    attended = attend_by_loops(query, key, value, window_rows).reshape(2, 4, 3, -1)
    expected = attended @ np.asarray(attention.output.kernel[...], np.float64)
    result = nnx.jit(lambda layer, x: layer(x))(attention, jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(result, expected, rtol=0, atol=5e-6)


@pytest.mark.parametrize("columns", [1, 2, 3])
@pytest.mark.parametrize("window_rows", [64, 1, 0])
def test_some_columns_at_a_time_are_the_same(window_rows, columns):
    attention, x = layer(window_rows), jnp.asarray(numbers(2, 4, 3, 5), jnp.float32)

    @nnx.jit
    def both_ways(attention, x):
        cache = attention.init_cache(2, 4, 3)
        rows = []
        for i in range(4):
            state = attention.start_row(cache, jnp.asarray(i))
            steps = []
            for j in range(0, 3, columns):
                y, state, trace = attention.step(x[:, i : i + 1, j : j + columns], state)
                steps.append((y, trace))
            traces = [
                jnp.concatenate(parts, axis=2)
                for parts in zip(*(trace for _, trace in steps), strict=True)
            ]
            cache = attention.end_row(cache, tuple(traces))
            rows.append(jnp.concatenate([y for y, _ in steps], axis=2))
        # What is remembered is the window, whatever the height.
        assert cache.keys.shape == (2, HEADS, min(window_rows, 3), 3, FEATURES)
        return attention(x), jnp.concatenate(rows, axis=1)

    whole, incremental = both_ways(attention, x)
    np.testing.assert_allclose(incremental, whole, rtol=0, atol=2e-6)


def test_heads_that_do_not_divide_the_features_are_refused():
    with pytest.raises(InputError, match="must divide the 6 features, got 4"):
        CausalAttention(5, 6, num_heads=4, window_rows=64, rngs=nnx.Rngs(0))

"""Inverse transform sampling by hand, and noise that depends on nothing but its place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pixelprior import Grid
from pixelprior.sampling.draw import draw_pixel, draw_symbol, grid_noise
from pixelprior.sampling.strategies import TopK

JUST_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))
draw = jax.jit(draw_symbol)


def log(p):
    with np.errstate(divide="ignore"):
        return np.log(np.array(p, np.float32))


@pytest.mark.parametrize(
    ("noise", "symbol"), [(0.0, 0), (0.12, 0), (0.13, 1), (0.37, 1), (0.38, 2), (0.99, 2)]
)
def test_the_level_at_which_the_cumulative_distribution_passes_the_noise(noise, symbol):
    # Cumulated: 0.125, 0.375, 1; and logits are unnormalised, large or small.
    for shift in (0.0, 3.0, -300.0, 300.0):
        assert draw(log([0.125, 0.25, 0.625]) + shift, jnp.float32(noise)) == symbol


def test_a_bound_belongs_to_the_level_above_it():
    # Noise is in [0, 1), so level v is drawn for noise in [cumulative before it, cumulative).
    assert draw(jnp.zeros(4), jnp.float32(0.25)) == 1
    assert draw(jnp.zeros(4), jnp.float32(0.5)) == 2
    assert draw(jnp.zeros(4), np.nextafter(np.float32(0.5), np.float32(0))) == 1


def test_a_level_without_a_chance_is_never_drawn():
    for chances in np.ndindex(2, 2, 2, 2):
        if not any(chances):
            continue
        p = np.array(chances) / sum(chances)
        for noise in (0.0, 1e-30, 0.25, 1 / 3, 0.5, 2 / 3, 0.75, JUST_BELOW_ONE):
            symbol = int(draw(log(p), jnp.float32(noise)))
            assert p[symbol] > 0
        assert draw(log(p), jnp.float32(0)) == np.flatnonzero(chances)[0]
        assert draw(log(p), JUST_BELOW_ONE) == np.flatnonzero(chances)[-1]


@pytest.mark.parametrize("levels", [17, 256, 512, 1024])
def test_rounding_draws_no_level_without_a_chance(levels):
    # XLA adds up many levels in parts, so that the cumulative sum may rise, or fall, at a level
    # without mass. Noise at every step of it, and one rounding to either side, finds such places.
    rng = np.random.default_rng(0)
    logits = (2 * rng.normal(size=(8, levels))).astype(np.float32)
    logits[rng.random(logits.shape) < 0.5] = -np.inf
    logits[:, -levels // 5 :] = -np.inf
    mass = np.exp(logits - logits.max(axis=-1, keepdims=True))
    cumulative = np.asarray(jnp.cumsum(mass, axis=-1))
    steps = np.clip(cumulative / cumulative[:, -1:], 0, JUST_BELOW_ONE)
    below, above = (np.nextafter(steps, np.float32(bound)) for bound in (0, 1))
    noise = np.minimum(np.concatenate([below, steps, above], axis=1), JUST_BELOW_ONE)
    symbols = draw(np.repeat(logits[:, None], noise.shape[1], axis=1), noise)
    assert symbols.dtype == jnp.int32
    assert (np.take_along_axis(mass, np.asarray(symbols), axis=1) > 0).all()
    # And they are the levels at which float64 passes the noise, but for ties within rounding.
    exact = (
        np.cumsum(mass.astype(np.float64), axis=-1) / mass.sum(axis=-1, dtype=np.float64)[:, None]
    )
    drawn = np.take_along_axis(exact, np.asarray(symbols), axis=1)
    share = np.take_along_axis(mass / mass.sum(axis=-1, keepdims=True), np.asarray(symbols), axis=1)
    assert (drawn > noise - 1e-5).all() and (drawn - share < noise + 1e-5).all()


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_extreme_logits(dtype):
    logits = jnp.array([-1e30, 1e30, -1e30, 0.0], dtype)
    for noise in (0.0, 0.5, JUST_BELOW_ONE):
        assert draw(logits, jnp.float32(noise)) == 1


def test_frequencies_are_the_probabilities():
    p = np.array([0.05, 0.4, 0.0, 0.25, 0.3])
    num = 40_000
    # Evenly spread noise leaves no chance: counts are right to one.
    symbols = draw(np.tile(log(p), (num, 1)), (np.arange(num, dtype=np.float32) + 0.5) / num)
    np.testing.assert_allclose(np.bincount(symbols, minlength=5), p * num, atol=1.5)


class TableHead:
    """Conditionals read from a table: of three levels, the channel's and the one before's sum."""

    def logits(self, features, earlier):
        channel = earlier.shape[-1]
        likeliest = channel if channel == 0 else (earlier.sum(axis=-1) + channel) % 3
        return features + 50.0 * jax.nn.one_hot(likeliest, 3)


def test_a_pixel_is_drawn_channel_by_channel():
    features, noise = jnp.zeros((2, 3)), jnp.full((2, 4), 0.5)
    # 0, then (0 + 1), then (0 + 1 + 2) % 3, then (0 + 1 + 0 + 3) % 3.
    np.testing.assert_array_equal(
        draw_pixel(TableHead(), features, noise, ()), [[0, 1, 0, 1], [0, 1, 0, 1]]
    )


def test_channels_that_are_given_are_taken_and_looked_at_by_those_after_them():
    features, noise = jnp.zeros((2, 3)), jnp.full((2, 4), 0.5)
    given = jnp.array([[-1, 2, -1, -1], [1, -1, -1, 0]])
    # 0, 2, then (0 + 2 + 2) % 3, then (0 + 2 + 1 + 3) % 3; and 1, (1 + 1), (1 + 2 + 2) % 3, 0.
    np.testing.assert_array_equal(
        draw_pixel(TableHead(), features, noise, (), given), [[0, 2, 1, 0], [1, 2, 2, 0]]
    )


def test_strategies_apply_to_every_channel():
    class Flat:
        def logits(self, features, earlier):
            return features

    features = jnp.tile(log([0.2, 0.5, 0.3]), (100, 1))
    noise = jnp.tile(jnp.linspace(0, JUST_BELOW_ONE, 100)[:, None], (1, 3))
    assert set(np.unique(draw_pixel(Flat(), features, noise, ()))) == {0, 1, 2}
    np.testing.assert_array_equal(draw_pixel(Flat(), features, noise, (TopK(1),)), 1)


def test_noise_depends_on_key_image_and_position_alone():
    grid, key = Grid(3, 4, 2, 5), jax.random.key(0)
    noise = np.asarray(grid_noise(key, jnp.arange(6), grid))
    assert noise.shape == (6, 3, 4, 2)
    np.testing.assert_array_equal(grid_noise(key, jnp.array([4, 1]), grid), noise[[4, 1]])
    np.testing.assert_array_equal(grid_noise(key, jnp.arange(6), Grid(3, 4, 2, 256)), noise)
    # No two places share their noise, nor do two keys.
    other = np.asarray(grid_noise(jax.random.key(1), jnp.arange(6), grid))
    assert len(np.unique([noise, other])) == 2 * noise.size


def test_noise_is_uniform():
    noise = np.asarray(grid_noise(jax.random.key(0), jnp.arange(500), Grid(4, 5, 1, 2)))
    assert noise.min() >= 0 and noise.max() < 1
    counts, _ = np.histogram(noise, bins=10, range=(0, 1))
    # 1,000 are expected of each; five standard deviations are 150.
    np.testing.assert_allclose(counts, 1000, atol=150)

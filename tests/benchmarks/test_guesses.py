"""Evaluations counted by first guess are those that the samplers report."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from benchmarks.guesses import Image, count_evaluations
from pixelprior.grid import Grid
from pixelprior.models import MODELS
from pixelprior.sampling import sample_and_count
from pixelprior.sampling.draw import grid_noise


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gated_pixel_cnn", "row_lstm"])
def test_counts_are_those_of_the_samplers(name):
    model = MODELS[name](Grid(6, 5, 2, 3), features=8, num_layers=2, rngs=nnx.Rngs(0))
    # Surer of itself than a fresh one, and of what comes before.
    weights = nnx.state(model)
    nnx.update(model, jax.tree.map(lambda x: 3 * x, weights))
    key = jax.random.key(1)
    for n in range(3):
        noise = grid_noise(key, jnp.asarray([n]), model.grid)[0]
        counted = count_evaluations(model, Image(noise, None))
        for method, count in (
            ("fixed_point", counted.above),
            ("whole_grids", counted.whole_grids),
        ):
            drawn = sample_and_count(model, key, 1, method=method, first_image=n)
            assert int(drawn.evaluations[0]) == int(count)
        assert 6 <= counted.zeros <= 30 and 12 <= counted.likeliest <= 36
        assert 0 < counted.settled_rows < 6 * counted.whole_grids

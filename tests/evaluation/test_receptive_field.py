"""The measured receptive field against what the models of the catalogue claim to see."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior import Context, Grid
from pixelprior.errors import InputError
from pixelprior.evaluation.receptive_field import receptive_field
from tests.models.catalogue import MODELS

GRID = Grid(7, 8, 2, 3)
KEY = jax.random.key(0)


@functools.cache
def random_model(name, **settings):
    """With random weights: fresh ones start some layers at zero."""
    graph, shapes = nnx.split(
        nnx.eval_shape(lambda: MODELS[name].make(GRID, **settings, rngs=nnx.Rngs(0)))
    )
    rng = np.random.default_rng(0)
    weights = jax.tree.map(lambda s: jnp.asarray(0.5 * rng.normal(size=s.shape), s.dtype), shapes)
    return nnx.merge(graph, weights)


def random_images(count):
    rng = np.random.default_rng(1)
    return jnp.asarray(rng.integers(0, GRID.levels, (count, *GRID.shape)), jnp.int32)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("pixel_cnn", "float32"),
        ("gated_pixel_cnn", "float32"),
        pytest.param("gated_pixel_cnn", "bfloat16", marks=pytest.mark.slow),
    ],
)
def test_it_is_nonzero_exactly_where_a_model_claims_to_see(name, dtype):
    claims = MODELS[name].claims(GRID.height, GRID.width)
    # In the middle, where a masked convolution has its blind spot, and at an edge.
    for position in [(4, 3), (6, 0)]:
        field = receptive_field(
            random_model(name, dtype=dtype), position, images=random_images(16), key=KEY
        )
        assert field.shape == (7, 8) and np.isfinite(field).all() and (field >= 0).all()
        np.testing.assert_array_equal(field > 0, claims[position])


def test_the_blind_spot_is_what_the_two_differ_in():
    # Two rows up and five columns to the right: only rows above lead there, one column a row.
    plain, gated = (
        receptive_field(random_model(name), (4, 2), images=random_images(16), key=KEY)
        for name in ("pixel_cnn", "gated_pixel_cnn")
    )
    assert plain[3, 6] == 0 < gated[3, 6]


def test_it_is_the_gradient_that_differences_give():
    # Of one image; by float32 differences of the whole network, each embedded value moved alone.
    model, image, position = random_model("gated_pixel_cnn"), random_images(1), (4, 3)
    graph, weights = nnx.split(model)
    embedded = model.embedding(image)
    size = embedded.size

    @jax.jit
    def logits(embedded):
        model = nnx.merge(graph, weights)
        features = model.network(embedded, None, None)[:, *position]
        repeated = jnp.repeat(image[:, *position], len(embedded), 0)
        return jnp.concatenate(
            [model.head.logits(features, repeated[:, :k]) for k in range(GRID.channels)], axis=-1
        )

    step = 1e-2 * jnp.eye(size).reshape(size, *embedded.shape[1:])
    jacobian = (logits(embedded + step) - logits(embedded - step)) / 2e-2
    # A random sum of logits has a gradient of variance |row|^2, whose absolute value is on average
    # sqrt(2 / pi) of that; many sums, for the average to be near.
    expected = np.sqrt(2 / np.pi) * np.linalg.norm(jacobian, axis=-1).reshape(*embedded.shape[1:])
    measured = np.mean(
        [
            receptive_field(model, position, images=image, key=jax.random.key(seed))
            for seed in range(100)
        ],
        axis=0,
    )
    # 400 sums, whose absolute values spread by 76% of their mean: 3.8% of it, and five times that.
    # Where the gradient is tiny, differences in float32 tell nothing.
    expected = expected.mean(axis=-1)
    np.testing.assert_allclose(measured, expected, rtol=0.19, atol=1e-3 * expected.max())


def test_the_centre_and_samples_of_the_model_are_the_default():
    model = random_model("pixel_cnn")
    field = receptive_field(model, num_images=2, key=KEY)
    np.testing.assert_array_equal(field, receptive_field(model, (3, 4), num_images=2, key=KEY))
    assert field[3, 3] > 0 and not field[3, 4:].any() and not field[4:].any()


def test_classes_are_taken_in_turn():
    model = random_model("gated_pixel_cnn", num_classes=2)
    images = random_images(16)
    by_default, given, others = (
        receptive_field(model, images=images, context=context, key=KEY)
        for context in (
            None,
            Context(label=jnp.arange(16) % 2),
            Context(label=jnp.ones(16, jnp.int32)),
        )
    )
    np.testing.assert_array_equal(by_default, given)
    assert (by_default != others).any()


def test_positions_and_images_that_do_not_fit_are_refused():
    model = random_model("pixel_cnn")
    for position in [(7, 0), (0, 8), (-1, 0)]:
        with pytest.raises(InputError, match=r"on the grid of 7 x 8, got \("):
            receptive_field(model, position, key=KEY)
    with pytest.raises(InputError, match=r"\[batch, 7, 8, 2\]"):
        receptive_field(model, images=random_images(2)[:, 1:], key=KEY)

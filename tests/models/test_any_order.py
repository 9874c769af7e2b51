"""The any-order model beside the laws: orders of each image, known pixels, random orders."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import pixelprior as pp
from pixelprior import Context, Grid, sample
from pixelprior.errors import InputError
from pixelprior.nn.orders import inverse, order_around, random_orders, raster_order, rearrange
from pixelprior.sampling import UNKNOWN, InColumns, sample_rows
from pixelprior.sampling.sample import sample_and_count
from tests.models.catalogue import ANY_ORDER_SIZES
from tests.models.test_laws import (
    NUM_CLASSES,
    all_grids,
    incremental_features,
    random_context,
    random_grids,
    random_model,
    random_weights,
)

NAME = "any_order_transformer"
GRID = Grid(3, 5, 3, 17)
KEY = jax.random.key(3)


def in_order(context, order):
    return dataclasses.replace(context, order=order)


def orders_of(batch, grid=GRID, seed=0):
    return random_orders(jax.random.split(jax.random.key(seed), batch), grid)


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_two_ways_agree_in_an_order_of_each_image(columns):
    model = random_model(NAME, GRID, "all")
    order = orders_of(6)
    positions = inverse(order)
    context = random_context(GRID, "all", 6)
    x = rearrange(jnp.asarray(random_grids(GRID, 6)), positions)
    map_ = rearrange(context.map, positions)
    here = dataclasses.replace(context, map=map_, order=order)
    whole = model.sequence.features(x, here)
    graph, weights = nnx.split(model.sequence)
    incremental = incremental_features(graph, weights, x, here, columns)
    np.testing.assert_allclose(incremental, whole, rtol=1e-4, atol=2e-5)


def test_each_image_has_its_own_order():
    model, x = random_model(NAME, GRID, "all"), random_grids(GRID, 4)
    context, order = random_context(GRID, "all", 4), orders_of(4)
    together = model.log_prob(x, in_order(context, order))
    for n in range(4):
        one = jax.tree.map(lambda y, n=n: y[n : n + 1], in_order(context, order))
        np.testing.assert_allclose(model.log_prob(x[n : n + 1], one)[0], together[n], rtol=1e-5)
    # Other orders are other distributions, and without one the order is raster.
    raster = model.log_prob(x, context)
    assert (np.abs(np.asarray(raster - together)) > 1e-3).all()
    same = model.log_prob(x, in_order(context, raster_order(4, GRID)))
    np.testing.assert_allclose(same, raster, rtol=1e-6)


def test_pixels_add_up_in_their_places():
    model, x = random_model(NAME, GRID, "all"), random_grids(GRID, 4)
    context = in_order(random_context(GRID, "all", 4), orders_of(4))
    of_pixels = model.pixel_log_prob(x, context)
    np.testing.assert_allclose(of_pixels.sum(axis=(1, 2)), model.log_prob(x, context), rtol=1e-5)
    log_p = jax.nn.log_softmax(model.logits(x, context))
    of_symbols = np.take_along_axis(np.asarray(log_p), x[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(of_pixels, of_symbols.sum(axis=-1), rtol=1e-4, atol=1e-5)


def test_every_order_of_a_tiny_grid_is_normalised():
    grid = Grid(1, 3, 1, 3)
    model, everything = random_model(NAME, grid, "none"), all_grids(grid)
    found = []
    for order in itertools.permutations(range(3)):
        orders = jnp.broadcast_to(jnp.array(order), (len(everything), 1, 3))
        log_p = np.asarray(model.log_prob(everything, Context(order=orders)), np.float64)
        np.testing.assert_allclose(np.exp(log_p).sum(), 1.0, rtol=1e-5)
        found.append(log_p)
    assert all(np.abs(a - b).max() > 1e-3 for a, b in itertools.combinations(found, 2))


@pytest.mark.slow
def test_samplers_agree_in_any_order_and_an_image_depends_on_its_number_alone():
    model, num = random_model(NAME, GRID, "all"), 4
    context = in_order(random_context(GRID, "all", num), orders_of(num))
    cached = np.asarray(sample(model, KEY, num, context=context))
    for method in ("naive", "fixed_point", "whole_grids", InColumns(2)):
        np.testing.assert_array_equal(
            cached, sample(model, KEY, num, context=context, method=method)
        )
    for n in range(num):
        own = jax.tree.map(lambda y, n=n: y[n : n + 1], context)
        alone = sample(model, KEY, 1, context=own, first_image=n)
        np.testing.assert_array_equal(alone[0], cached[n])
    # The noise belongs to the pixels, not to the places in the order.
    raster = sample(model, KEY, num, context=random_context(GRID, "all", num))
    assert (np.asarray(raster) != cached).any()
    assert len(np.unique(cached, axis=0)) == num


def test_known_pixels_condition_all_others():
    model, num = random_model(NAME, GRID, "all"), 4
    context, order = random_context(GRID, "all", num), orders_of(num)
    x = random_grids(GRID, num)
    hole = np.zeros((num, 3, 5), bool)
    for n in range(num):
        hole[n, n % 2 :, n : n + 2] = True
    known = np.where(hole[..., None], UNKNOWN, x)
    drawn = np.asarray(sample(model, KEY, num, context=in_order(context, order), known=known))
    np.testing.assert_array_equal(drawn[~hole], x[~hole])
    around = in_order(context, order_around(order, jnp.asarray(~hole)))
    same = sample(model, KEY, num, context=around, known=known, method="naive")
    np.testing.assert_array_equal(drawn, same)
    *_, rows = sample_rows(model, KEY, num, context=in_order(context, order), known=known)
    np.testing.assert_array_equal(drawn, rows)
    # What is drawn first depends on a known pixel of the last row.
    other = x.copy()
    for n in range(num):
        other[n, -1, (n + 3) % 5] += 1
    other %= GRID.levels
    ranks = np.where(hole, around.order, GRID.size).reshape(num, -1)
    logits = [
        np.asarray(model.logits(grids, around)).reshape(num, 15, 3, 17) for grids in (x, other)
    ]
    for n, first in enumerate(ranks.argmin(axis=-1)):
        assert (logits[0][n, first] != logits[1][n, first]).all()


def test_known_rows_of_the_sequence_take_one_step_each():
    grid = Grid(6, 4, 1, 5)
    model = random_model(NAME, grid, "none")
    known = random_grids(grid, 2)
    known[:, 1:3, 1:3] = UNKNOWN
    drawn = sample_and_count(model, KEY, 2, known=known, method="cached")
    # 20 known pixels are five rows of the sequence; the last row has the four others.
    np.testing.assert_array_equal(drawn.evaluations, [5 + 4] * 2)
    # In raster order, the two rows with the hole are drawn pixel by pixel.
    raster = random_model("transformer", grid, "none")
    drawn = sample_and_count(raster, KEY, 2, known=known, method="cached")
    np.testing.assert_array_equal(drawn.evaluations, [4 + 2 * 4] * 2)


def test_training_takes_a_random_order_for_each_image():
    model, x = random_model(NAME, GRID, "all"), random_grids(GRID, 4)
    context = random_context(GRID, "all", 4)
    keys = jax.random.split(KEY, 4)
    first, again = (model.log_prob(x, context, dropout_key=keys) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = model.log_prob(x, context, dropout_key=jax.random.split(jax.random.key(4), 4))
    raster = model.log_prob(x, context)
    assert (np.asarray(first) != np.asarray(other)).all()
    assert (np.asarray(first) != np.asarray(raster)).all()
    # A given order stays.
    given = in_order(context, orders_of(4))
    np.testing.assert_array_equal(
        model.log_prob(x, given, dropout_key=keys), model.log_prob(x, given)
    )
    # An image's order is a function of its own key.
    alone = model.log_prob(x[2:3], jax.tree.map(lambda y: y[2:3], context), dropout_key=keys[2:3])
    np.testing.assert_allclose(alone[0], first[2], rtol=1e-5)


def test_verbs_take_an_order():
    model, x = random_model(NAME, GRID, "class"), random_grids(GRID, 3)
    order = np.random.default_rng(0).permutation(15).reshape(3, 5).astype(np.int32)
    label = np.arange(3) % NUM_CLASSES
    everyones = jnp.broadcast_to(order, (3, 3, 5))
    expected = model.log_prob(x, Context(label=jnp.asarray(label), order=everyones))
    np.testing.assert_array_equal(pp.log_prob(model, x, label=label, order=order), expected)
    np.testing.assert_array_equal(pp.log_prob(model, x, label=label, order=everyones), expected)
    drawn = pp.sample(model, KEY, 3, label=label, order=order)
    context = Context(label=jnp.asarray(label), order=everyones)
    np.testing.assert_array_equal(drawn, sample(model, KEY, 3, context=context))
    *_, rows = pp.sample_rows(model, KEY, 3, label=label, order=order)
    np.testing.assert_array_equal(drawn, rows)


ORDER = np.arange(15).reshape(3, 5)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (ORDER.T, r"order of shape \(2, 3, 5\), got \(2, 5, 3\)"),
        (ORDER[None].repeat(3, axis=0), r"order of shape \(2, 3, 5\), got \(3, 3, 5\)"),
        (ORDER + 1, "each number from 0 to 14 once"),
        (np.zeros((3, 5), int), "each number from 0 to 14 once"),
        (ORDER.astype(float), "array of integers, got float"),
        (ORDER > 3, "array of integers, got bool"),
        ("random", "array of integers, got str"),
    ],
)
def test_orders_that_are_none_are_refused(order, message):
    model, x = random_model(NAME, GRID, "none"), random_grids(GRID, 2)
    for use in (
        lambda: pp.log_prob(model, x, order=order),
        lambda: pp.sample(model, KEY, 2, order=order),
    ):
        with pytest.raises(InputError, match=message):
            use()


def test_other_models_and_priors_take_no_order():
    raster, x = random_model("transformer", GRID, "none"), random_grids(GRID, 2)
    with pytest.raises(InputError, match="this model has an order of its own"):
        pp.log_prob(raster, x, order=ORDER)
    twice = Context(order=jnp.asarray(ORDER[None].repeat(2, axis=0)))
    with pytest.raises(InputError, match="give order or context.order, not both"):
        pp.log_prob(random_model(NAME, GRID, "none"), x, context=twice, order=ORDER)
    prior = pp.Prior([GRID], [pp.PixelCNN], rngs=nnx.Rngs(0))
    with pytest.raises(InputError, match="order is for pixel models"):
        pp.sample(prior, KEY, 2, order=ORDER)


@pytest.mark.parametrize("size", [2, 1, 4])
def test_kernels_that_are_not_odd_are_refused(size):
    with pytest.raises(InputError, match=f"first_kernel_size must be odd and above 1, got {size}"):
        pp.AnyOrderTransformer(GRID, first_kernel_size=size, rngs=nnx.Rngs(0))


@pytest.mark.slow
def test_a_prior_of_any_order_conditions_on_all_known_codes():
    grids = [Grid(3, 3, 1, 7), Grid(6, 6, 1, 7)]
    make = functools.partial(pp.AnyOrderTransformer, **ANY_ORDER_SIZES)
    shapes = nnx.split(nnx.eval_shape(lambda: pp.Prior(grids, [make] * 2, rngs=nnx.Rngs(0))))
    prior = nnx.merge(shapes[0], random_weights(shapes[1], 0))
    codes = [jnp.asarray(random_grids(grid, 2)) for grid in grids]
    known = [codes[0].at[:, 0].set(UNKNOWN), codes[1].at[:, :2].set(UNKNOWN)]
    drawn = prior.sample(KEY, 2, known=known)
    for level, given in zip(drawn, known, strict=True):
        np.testing.assert_array_equal(level[given != UNKNOWN], given[given != UNKNOWN])
    # Level by level, as the any-order model draws around the known codes.
    for number in range(2):
        expected = sample(
            prior.levels[number],
            jax.random.fold_in(KEY, number),
            2,
            context=prior.context(number, drawn[:number], None),
            known=known[number],
            method="naive",
        )
        np.testing.assert_array_equal(drawn[number], expected)
    *_, rows = prior.sample_rows(KEY, 2, known=known)
    jax.tree.map(np.testing.assert_array_equal, rows, drawn)
    # A random order of each image and level is a function of the image's key.
    keys = jax.random.split(KEY, 2)
    for number in range(2):
        context = prior.context(number, codes[:number], None)
        folded = jax.vmap(lambda key, n=number: jax.random.fold_in(key, n))(keys)
        order = random_orders(folded, grids[number])
        map_ = None if context is None else context.map
        expected = prior.levels[number].log_prob(codes[number], Context(map=map_, order=order))
        found = prior.level_log_prob(number, codes, order_keys=keys)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert (np.abs(np.asarray(found - prior.level_log_prob(number, codes))) > 1e-3).all()


def test_heads_that_cannot_be_rotated_are_refused():
    with pytest.raises(InputError, match="each head must have a multiple of 4 features, got 6"):
        pp.AnyOrderTransformer(GRID, features=12, num_heads=2, rngs=nnx.Rngs(0))
    with pytest.raises(InputError, match="num_heads must divide the 10 features, got 4"):
        pp.AnyOrderTransformer(GRID, features=10, num_heads=4, rngs=nnx.Rngs(0))

"""The five laws of the design, each one test for every model.

Adding a model is adding a line to `catalogue.MODELS`: a constructor with small sizes, which pixels
the model claims to see, computed from those sizes, and the contexts that it takes.

Weights are random numbers, biases included, rather than a fresh initialisation: a law that holds
only at initialisation is no law, and drawing numbers compiles nothing. Everything compiled takes
the weights as arguments, so it is shared between seeds and tests.
"""

import dataclasses
import functools
import itertools
import math
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from pixelprior import Context, GatedPixelCNN, Grid, sample
from pixelprior.coding.codec import Codec
from pixelprior.coding.intervals import TOTAL
from pixelprior.errors import InputError
from pixelprior.models.base import AutoregressiveModel, side_by_side
from pixelprior.models.guided import Guided, guided
from pixelprior.sampling import UNKNOWN, Temperature, TopP, sample_rows
from pixelprior.sampling.in_columns import columns_of
from pixelprior.sampling.rows import num_rows
from pixelprior.system.devices import data_mesh, replicated
from tests.goodness_of_fit import chi_square_p_value
from tests.models.catalogue import (
    COVERED,
    FIRST_KERNEL,
    GUIDANCE,
    KERNEL,
    MODELS,
    ONE,
    SHIPPED,
    SIZES,
    everything_before,
    one_fast_others_slow,
    raster,
    seen_by_masked_convolutions,
    seen_without_blind_spot,
)
from tests.release import BEFORE_A_RELEASE, slow_cases
from tests.several_devices import run_on_devices

# Every context, square and not, one channel and three, from 2 to 256 levels; larger than what the
# kernels span, so that where a model's sight ends is tested too.
CASES = [
    (Grid(4, 4, 1, 2), "none"),
    (Grid(3, 7, 1, 17), "class"),
    (Grid(6, 3, 3, 17), "map"),
    (Grid(3, 5, 3, 256), "all"),
]
# Grids of which all can be listed.
TINY_CASES = [(Grid(2, 2, 1, 3), "class"), (Grid(1, 2, 3, 2), "all")]
NUM_CLASSES, MAP_FEATURES, VECTOR_FEATURES = 2, 3, 2


def every_model_and(cases, models=MODELS, slow=(), fast=tuple(MODELS), for_one=(), covered=COVERED):
    """A test of every model on the cases whose context it takes.

    Each case is compiled for each model. Slow tests are the variants of a model, the cases that are
    said to be slow, models that are not said to be fast, and, where there are many cases, those
    with one context alone. All contexts at once include these, so they are tested before a release
    for most models, and so are models that are ``covered`` by others. The model `ONE` stands for
    all others in the cases ``for_one``.
    """

    def marks(name, grid, kind):
        alone = len(cases) > 2 and kind in ("class", "map")
        if name in covered or (alone and name != ONE):
            return BEFORE_A_RELEASE
        is_slow = alone or (grid, kind) in slow or name not in fast or name not in SHIPPED
        return [pytest.mark.slow] if is_slow else []

    parameters = [
        pytest.param(
            name,
            grid,
            kind,
            id=f"{name}-{'x'.join(map(str, grid.shape))}-{grid.levels}-{kind}",
            marks=marks(name, grid, kind),
        )
        for name, model in models.items()
        for grid, kind in cases
        if kind in model.kinds and (name == ONE or (grid, kind) not in for_one)
    ]
    return pytest.mark.parametrize(("name", "grid", "kind"), parameters)


every_case = every_model_and(CASES)
IN_RASTER_ORDER = {
    name: model for name, model in MODELS.items() if model.order is raster and not model.sequence
}
every_tiny_case = every_model_and(TINY_CASES)


@functools.cache
def graph_and_shapes(name, grid, kind):
    context = {}
    if kind in ("class", "all"):
        context["num_classes"] = NUM_CLASSES
    if kind in ("map", "all"):
        context["map_features"] = MAP_FEATURES
    if kind == "all":
        context |= {"vector_features": VECTOR_FEATURES, "turns": True}
    # Only traced: drawing real initial weights would compile every distinct shape.
    return nnx.split(nnx.eval_shape(lambda: MODELS[name].make(grid, **context, rngs=nnx.Rngs(0))))


def random_weights(shapes, seed, scale=0.5):
    rng = np.random.default_rng(seed)

    def draw(shape):
        # A number by itself is the scale of guidance, which is no weight.
        value = scale * rng.normal(size=shape.shape) if shape.shape else GUIDANCE
        return jnp.asarray(value, shape.dtype)

    return jax.tree.map(draw, shapes)


def random_model(name, grid, kind, seed=0, scale=0.5):
    graph, shapes = graph_and_shapes(name, grid, kind)
    return nnx.merge(graph, random_weights(shapes, seed, scale))


def embedding_of(model):
    return model.model.embedding if isinstance(model, Guided) else model.embedding


def random_grids(grid, batch, seed=0):
    x = np.random.default_rng(seed).integers(0, grid.levels, (batch, *grid.shape))
    return x.astype(np.int32)


def random_context(grid, kind, batch, seed=0):
    """Grids of different classes, maps, vectors and turns."""
    rng = np.random.default_rng(seed)
    return Context(
        label=jnp.arange(batch) % NUM_CLASSES if kind in ("class", "all") else None,
        map=jnp.asarray(rng.normal(size=(batch, grid.height, grid.width, MAP_FEATURES)), "float32")
        if kind in ("map", "all")
        else None,
        vector=jnp.asarray(rng.normal(size=(batch, VECTOR_FEATURES)), "float32")
        if kind == "all"
        else None,
        turn=(seed + jnp.arange(batch)) % 4 if kind == "all" else None,
    )


def same_context(grid, kind, batch, label=0):
    """One condition for all grids of a batch."""
    one = jax.tree.map(lambda x: jnp.repeat(x, batch, axis=0), random_context(grid, kind, 1))
    return dataclasses.replace(one, label=None if one.label is None else jnp.full(batch, label))


@functools.partial(jax.jit, static_argnames="graph")
def evaluate(graph, weights, x, context):
    """The features, each symbol's conditional logits, and the log-probability of each grid.

    All at once, and by all tests for as many grids as a grid has symbols: compiled once per case.
    """
    model = nnx.merge(graph, weights)
    in_raster_order = isinstance(model, AutoregressiveModel)
    features = model.features(x, context) if in_raster_order else None  # [b, h, w, d]
    return features, model.logits(x, context), model.log_prob(x, context)


# Law 1: causal.


@every_case
def test_causal_and_sees_what_it_claims(name, grid, kind):
    graph, shapes = graph_and_shapes(name, grid, kind)
    context = same_context(grid, kind, grid.size)
    seen = np.zeros((grid.size, grid.height, grid.width), bool)
    logits_changed = np.zeros((grid.size, grid.size), bool)
    # A change may leave a feature as it is, where a relu is off: so over several weights and grids.
    for seed in range(12):
        weights = random_weights(shapes, seed)
        x = np.repeat(random_grids(grid, 1, seed), grid.size, axis=0)
        changed = x.reshape(grid.size, grid.size).copy()
        other = 1 + np.random.default_rng(seed).integers(0, grid.levels - 1, grid.size)
        np.einsum("nn->n", changed)[:] += other
        changed = (changed % grid.levels).reshape(x.shape)
        # Compared bit for bit: both are computed as batches of one size, in the same places.
        before = evaluate(graph, weights, x, context)
        after = evaluate(graph, weights, changed, context)
        if before[0] is not None:
            seen |= (np.asarray(before[0]) != np.asarray(after[0])).any(axis=-1)
        difference = (np.asarray(before[1]) != np.asarray(after[1])).any(axis=-1)
        logits_changed |= difference.reshape(grid.size, grid.size)

    # claimed[i, j, m, n] to [changed symbol, feature's position].
    claimed = MODELS[name].claims(grid.height, grid.width)
    positions = grid.height * grid.width
    by_source = claimed.reshape(positions, positions).T
    by_symbol = np.repeat(by_source, grid.channels, axis=0)
    if before[0] is not None:
        np.testing.assert_array_equal(seen.reshape(grid.size, positions), by_symbol)
    # The logits of a channel see, besides, the channels before it in their own pixel.
    chain = np.repeat(by_symbol, grid.channels, axis=1)
    own_pixel = np.kron(np.eye(positions), np.ones((grid.channels, grid.channels)))
    chain |= np.triu(own_pixel, 1).astype(bool)
    np.testing.assert_array_equal(logits_changed, chain)
    # The oracle of what is claimed claims nothing at or after a symbol itself.
    place = np.repeat(MODELS[name].order(grid.height, grid.width).ravel(), grid.channels)
    place = place * grid.channels + np.tile(np.arange(grid.channels), positions)
    assert not logits_changed[place[:, None] >= place].any()


@pytest.mark.parametrize("size", [4, 5])
def test_claims_have_the_known_blind_spot_and_none(size):
    earlier = everything_before(size, size)
    gated, masked = seen_without_blind_spot(size, size), seen_by_masked_convolutions(size, size)
    np.testing.assert_array_equal(gated, earlier)
    # One row up, only one of the convolutions can have stepped up, and only it to the right.
    reach = max(FIRST_KERNEL, KERNEL) // 2
    assert masked[1, 0, 0, reach] and not masked[1, 0, 0, reach + 1]
    assert not (masked & ~earlier).any()


@one_fast_others_slow([name for name in IN_RASTER_ORDER if name in SHIPPED])
def test_gradients_are_exactly_zero_where_nothing_is_seen(name):
    # Each position holds a level of its own, so the gradient with respect to one row of the table
    # is the gradient with respect to one position's embedding.
    grid = Grid(3, 5, 2, 16)
    positions = grid.height * grid.width
    kind = MODELS[name].kinds[0]
    graph, shapes = graph_and_shapes(name, grid, kind)
    context = same_context(grid, kind, 1)
    orders = [np.random.default_rng(c).permutation(grid.levels)[:positions] for c in range(2)]
    x = jnp.asarray(np.stack(orders, axis=-1).reshape(1, *grid.shape), jnp.int32)

    @jax.jit
    def jacobian(weights):
        def features(table):
            model = nnx.merge(graph, weights)
            embedding_of(model).table = nnx.Param(table)
            return model.features(x, context)[0]

        return jax.jacrev(features)(embedding_of(nnx.merge(graph, weights)).table[...])

    nonzero = np.zeros((positions, grid.channels, grid.levels), bool)
    for seed in range(8):
        table_gradient = np.asarray(jacobian(random_weights(shapes, seed)))  # [h, w, d, c, v, e]
        assert np.isfinite(table_gradient).all()
        nonzero |= (table_gradient != 0).any(axis=(2, 5)).reshape(nonzero.shape)
    claimed = MODELS[name].claims(grid.height, grid.width).reshape(positions, positions)
    for channel, order in enumerate(orders):
        np.testing.assert_array_equal(nonzero[:, channel, order], claimed)
        unused = np.setdiff1d(np.arange(grid.levels), order)
        assert not nonzero[:, channel, unused].any()


# Law 2: the two ways agree.


@functools.partial(jax.jit, static_argnames=("graph", "columns"))
def incremental_features(graph, weights, x, context, columns):
    """What the incremental way gives when it is fed the pixels of x, as [b, h, w, d]."""
    model = nnx.merge(graph, weights)
    batch, _, width, _ = x.shape
    full = width - width % columns

    def row(cache, inputs):
        i, pixels = inputs
        cache, above, left = model.start_row(cache, i)
        before = jnp.concatenate([model.outside_pixel(batch), pixels[:, :-1]], axis=1)

        def block(left, j, size=columns):
            previous = lax.dynamic_slice_in_dim(before, j, size, axis=1)
            features, left, trace = model.step(columns_of(above, j, size), left, previous)
            return left, (features[:, None], trace)

        left, blocks = lax.scan(block, left, jnp.arange(0, full, columns))
        features, traces = jax.tree.map(side_by_side, blocks)
        if full < width:
            _, rest = block(left, full, width - full)
            features, traces = jax.tree.map(
                lambda x, y: jnp.concatenate([x, y], axis=-2), (features, traces), rest
            )
        return model.end_row(cache, pixels[:, None], traces), features[:, 0]

    cache = model.init_cache(batch, context)
    _, features = lax.scan(row, cache, (jnp.arange(x.shape[1]), jnp.moveaxis(x, 1, 0)))
    return jnp.moveaxis(features, 0, 1)


@every_model_and(CASES, IN_RASTER_ORDER, slow=[CASES[0]])
def test_two_ways_agree(name, grid, kind):
    graph, shapes = graph_and_shapes(name, grid, kind)
    context = random_context(grid, kind, grid.size)
    for seed in range(2):
        weights, x = random_weights(shapes, seed), random_grids(grid, grid.size, seed)
        whole = evaluate(graph, weights, x, context)[0]
        # One column at a time, and several: of most grids the last block is smaller.
        several = max(2, nnx.merge(graph, weights).column_multiple)
        for columns in (1, min(several, grid.width)):
            incremental = incremental_features(graph, weights, x, context, columns)
            # Sums of up to a few hundred terms of size 1, in another order.
            np.testing.assert_allclose(incremental, whole, rtol=1e-4, atol=2e-5)


# Law 3: normalised.


def all_grids(grid):
    grids = itertools.product(range(grid.levels), repeat=grid.size)
    return np.array(list(grids), np.int32).reshape(-1, *grid.shape)


@every_tiny_case
def test_normalised(name, grid, kind):
    graph, shapes = graph_and_shapes(name, grid, kind)
    everything = all_grids(grid)
    distributions = []
    contexts = [same_context(grid, kind, len(everything), label) for label in range(NUM_CLASSES)]
    if kind == "all":
        contexts.append(dataclasses.replace(contexts[0], vector=contexts[0].vector + 1))
    for context in contexts:
        log_p = evaluate(graph, random_weights(shapes, 0), everything, context)[2]
        distributions.append(np.exp(np.asarray(log_p, np.float64)))
        # Each term is right to about a float32 rounding per symbol.
        np.testing.assert_allclose(distributions[-1].sum(), 1.0, rtol=1e-5)
    # One for each condition: were a label or a vector not looked at, two would be the same.
    for other in distributions[1:]:
        assert np.abs(distributions[0] - other).sum() > 1e-3


@every_case
def test_log_prob_is_the_sum_of_the_heads_log_softmax(name, grid, kind):
    graph, shapes = graph_and_shapes(name, grid, kind)
    weights, x = random_weights(shapes, 0), random_grids(grid, grid.size)
    _, logits, log_prob = evaluate(graph, weights, x, random_context(grid, kind, grid.size))
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    expected = np.take_along_axis(log_softmax, x[..., None], axis=-1).sum(axis=(1, 2, 3, 4))
    # A float32 sum of at most 54 terms.
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5)


# Law 4: the sampler draws from the model.


def exact_probabilities(model, grid, context, temperature=1.0, known=None):
    """The probability of each of `all_grids`, from the conditionals of every symbol.

    Of known symbols it is 1 that they are as they are.
    """
    everything = all_grids(grid)
    _, logits, _ = evaluate(*nnx.split(model), everything, context)
    p = np.exp(np.asarray(logits, np.float64) / temperature)
    p /= p.sum(axis=-1, keepdims=True)
    p = np.take_along_axis(p, everything[..., None], axis=-1)[..., 0]
    if known is not None:
        p = np.where(known == UNKNOWN, p, everything == known)
    return p.prod(axis=(1, 2, 3))


def p_value_of(x, grid, probabilities):
    place = grid.levels ** np.arange(grid.size)[::-1]
    counts = np.bincount(np.reshape(x, (len(x), -1)) @ place, minlength=len(probabilities))
    return chi_square_p_value(counts, probabilities)


@every_model_and(TINY_CASES, fast=(ONE,), for_one=TINY_CASES[:1])
def test_samples_are_distributed_as_the_model(name, grid, kind):
    model = random_model(name, grid, kind)
    num, cells = 20_000, grid.levels**grid.size
    context, everyones = same_context(grid, kind, num), same_context(grid, kind, cells)
    samples, exact = {}, {}
    # Temperature 1 is the model itself, and shares what is compiled with temperature 2.
    for temperature in (1.0, 2.0):
        x = sample(
            model,
            jax.random.key(0),
            num,
            context=context,
            strategy=Temperature(temperature),
        )
        samples[temperature] = np.asarray(x)
        exact[temperature] = exact_probabilities(model, grid, everyones, temperature)
    assert p_value_of(samples[1.0], grid, exact[1.0]) > 1e-3
    assert p_value_of(samples[2.0], grid, exact[2.0]) > 1e-3
    # And the check can tell: samples of another distribution are refused, whichever it is.
    assert p_value_of(samples[2.0], grid, exact[1.0]) < 1e-9
    assert p_value_of(samples[1.0], grid, exact[2.0]) < 1e-9


@pytest.mark.slow
@every_model_and(TINY_CASES, for_one=TINY_CASES[:1])
def test_completions_are_distributed_as_the_model_given_what_is_known_before(name, grid, kind):
    model, num, cells = random_model(name, grid, kind), 20_000, grid.levels**grid.size
    # Every other symbol, so that some are known before and some after unknown ones.
    known = np.where(np.arange(grid.size) % 2 == 0, UNKNOWN, 1).reshape(grid.shape)
    x = np.asarray(
        sample(
            model,
            jax.random.key(0),
            num,
            context=same_context(grid, kind, num),
            known=np.broadcast_to(known, (num, *grid.shape)),
        )
    )
    assert (x[:, known != UNKNOWN] == 1).all()
    # An any-order model draws the known pixels first.
    pixels = np.broadcast_to((known != UNKNOWN).all(axis=-1), (cells, *grid.shape[:2]))
    everyones = model.around(same_context(grid, kind, cells), jnp.asarray(pixels))
    exact = exact_probabilities(model, grid, everyones, known=known)
    np.testing.assert_allclose(exact.sum(), 1.0, rtol=1e-5)
    assert p_value_of(x, grid, exact) > 1e-3


# Law 5: one key, one image. All draw as many images, so that what is compiled is shared.

NUM = 8
KEY = jax.random.key(5)
STRATEGY = (Temperature(1.3), TopP(0.9))


def draw(name, grid, kind, **options):
    model, context = random_model(name, grid, kind), random_context(grid, kind, NUM)
    key = options.pop("key", KEY)
    return np.asarray(sample(model, key, NUM, context=context, strategy=STRATEGY, **options))


@every_model_and([CASES[0], CASES[-1]], slow=[CASES[0]], fast=(ONE,), for_one=[CASES[0]])
def test_all_samplers_give_the_same_images(name, grid, kind):
    cached = draw(name, grid, kind)
    for method in ("naive", "fixed_point", "whole_grids"):
        np.testing.assert_array_equal(cached, draw(name, grid, kind, method=method))
    assert cached.shape == (NUM, *grid.shape) and cached.dtype == np.int32
    grid.check(cached)
    # Different images, and different ones for another key: nothing is equal for being constant.
    assert len(np.unique(cached, axis=0)) > 1
    assert (cached != draw(name, grid, kind, key=jax.random.key(6))).any()


ONE_CASE = CASES[-1]


@pytest.mark.parametrize(
    "name",
    slow_cases(
        [*SHIPPED, "any_order_transformer_shuffled"], ONE, "multi_scale", "any_order_transformer"
    ),
)
def test_rows_fill_up_to_the_same_images(name):
    grid, kind = ONE_CASE
    model, context = random_model(name, grid, kind), random_context(grid, kind, NUM)
    known = np.full((NUM, *grid.shape), UNKNOWN)
    known[:, 1, 2:] = np.arange(NUM)[:, None, None]  # in the way of all that follows
    for given in (None, known):
        whole = draw(name, grid, kind, known=given)
        before = np.full_like(whole, UNKNOWN) if given is None else given
        options = {"context": context, "strategy": STRATEGY, "known": given}
        filling = list(sample_rows(model, KEY, NUM, **options))
        assert len(filling) == num_rows(model)
        for rows in map(np.asarray, filling):
            # Always as in the end, and always more of it.
            np.testing.assert_array_equal(rows[rows != UNKNOWN], whole[rows != UNKNOWN])
            assert ((rows != UNKNOWN) >= (before != UNKNOWN)).all()
            assert (rows != UNKNOWN).sum() > (before != UNKNOWN).sum()
            before = rows
        np.testing.assert_array_equal(before, whole)


@one_fast_others_slow(MODELS)
def test_an_image_depends_on_its_number_alone(name):
    grid, kind = ONE_CASE
    together, context = draw(name, grid, kind), random_context(grid, kind, NUM)
    for n in range(NUM):
        own = jax.tree.map(lambda y, n=n: y[n : n + 1], context)
        model = random_model(name, grid, kind)
        alone = sample(model, KEY, 1, context=own, strategy=STRATEGY, first_image=n)
        np.testing.assert_array_equal(alone[0], together[n])


DEVICES = 8


@functools.cache
def drawn_on_several_devices(names):
    """For each of these models, the images that a process with `DEVICES` devices draws."""
    numbers = np.array(run_on_devices(DEVICES, __file__, *names).split(), np.int32)
    return dict(zip(names, numbers.reshape(len(names), NUM, *ONE_CASE[0].shape), strict=True))


def draw_on_several_devices(names):
    """What the child process does: `sample` splits the batch over the devices by itself."""
    assert jax.device_count() == DEVICES
    for name in names:
        graph, weights = nnx.split(random_model(name, *ONE_CASE))
        context = random_context(*ONE_CASE, NUM)
        drawn = [
            sample(
                nnx.merge(graph, jax.device_put(weights, place)),
                KEY,
                NUM,
                context=context,
                strategy=STRATEGY,
            )
            for place in (replicated(data_mesh()), jax.devices()[0])
        ]
        # Of weights that are everywhere the images are, too; of others they come back to them.
        split, back = ({s.data.shape[0] for s in x.addressable_shards} for x in drawn)
        assert split == {NUM // DEVICES} and back == {NUM}
        np.testing.assert_array_equal(*drawn)
        print(*np.asarray(drawn[0]).ravel())


@one_fast_others_slow(MODELS)
def test_the_number_of_devices_changes_nothing(name):
    # One process for the fast test, one for the slow ones, and one for those before a release.
    groups = (ONE,), COVERED, tuple(other for other in MODELS if other not in (ONE, *COVERED))
    (together,) = (group for group in groups if name in group)
    drawn = drawn_on_several_devices(together)[name]
    np.testing.assert_array_equal(drawn, draw(name, *ONE_CASE))


# Compression, which needs most of the laws: the bits of a grid are those of its probability.

# A codec asks a model for what a sampler asks it for. Blocks, stages and orders are the kinds.
CODING_COVERED = MODELS.keys() - {ONE, "pixel_cnn_pp", "multi_scale", "any_order_transformer"}
CODED_CASES = [(Grid(5, 4, 1, 2), "none"), (Grid(3, 5, 3, 17), "all")]


@every_model_and(
    CODED_CASES, slow=CODED_CASES[:1], fast=(ONE,), for_one=CODED_CASES[:1], covered=CODING_COVERED
)
def test_a_grid_takes_the_bits_of_its_probability(name, grid, kind):
    num, batch = 150, 8
    model, context = random_model(name, grid, kind), random_context(grid, kind, num)
    x = np.asarray(sample(model, KEY, num, context=context))
    codec = Codec(model, batch_size=batch)
    stream = codec.write([x], context)
    (again,) = codec.read(stream, num, context)
    np.testing.assert_array_equal(again, x)
    bits = -float(model.log_prob(x, context).sum()) / np.log(2)
    # The cost of the smallest probability, and of the states at the end.
    floor = -np.log2(1 - grid.levels / TOTAL) * x.size
    assert bits * 0.9995 <= 8 * len(stream) <= bits * 1.0005 + floor + 48 * codec.lanes + 16
    # Grids that the model takes for unlikely are no less exact.
    noise = random_grids(grid, 9)
    few = jax.tree.map(lambda values: values[:9], context)
    stream = codec.write([noise], few)
    (again,) = codec.read(stream, 9, few)
    np.testing.assert_array_equal(again, noise)


# Guidance, beside the laws.


def guided_by(scale, grid, kind, seed=0):
    """A guided model, and the model that it is made from."""
    model = random_model("guided", grid, kind, seed).model
    return Guided(model, scale), model


@pytest.mark.parametrize("scale", [0.0, 1.0, 1.7, -0.5])
def test_guidance_is_a_line_through_both_distributions_symbol_by_symbol(scale):
    grid, kind = TINY_CASES[1]
    model, plain = guided_by(scale, grid, kind)
    everything = all_grids(grid)
    given = same_context(grid, kind, len(everything), 0)
    null = Context(map=given.map)
    assert np.any(np.asarray(given.map) != 0)

    def log_softmax(logits):
        logits = np.asarray(logits, np.float64)
        return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))

    without, with_ = (
        log_softmax(evaluate(*nnx.split(plain), everything, context)[1])
        for context in (null, given)
    )
    expected = log_softmax(without + scale * (with_ - without))  # [b, h, w, c, v]
    _, logits, log_prob = evaluate(*nnx.split(model), everything, given)
    # Logits of size 1 from float32 networks, a difference multiplied by less than 2.
    np.testing.assert_allclose(log_softmax(logits), expected, rtol=0, atol=1e-5)
    of_symbols = np.take_along_axis(expected, everything[..., None], axis=-1)
    np.testing.assert_allclose(log_prob, of_symbols.sum(axis=(1, 2, 3, 4)), rtol=1e-5)
    # The two distributions are not the same, or nothing would be tested.
    assert np.abs(with_ - without).max() > 0.1
    # And the ends of the line are what they are said to be.
    for at, context in ((0.0, null), (1.0, given)):
        own = evaluate(*nnx.split(plain), everything, context)[2]
        same = np.allclose(log_prob, own, rtol=0, atol=1e-5)
        assert same == (scale == at)


@pytest.mark.parametrize(
    ("schedule", "dtype"),
    [("linear", "bfloat16"), pytest.param("cosine", "float32", marks=pytest.mark.slow)],
)
def test_a_schedule_gives_each_pixel_a_scale_of_its_own(schedule, dtype):
    grid = Grid(2, 3, 1, 2)
    plain = GatedPixelCNN(
        grid, num_classes=2, null_class=True, dtype=dtype, rngs=nnx.Rngs(0), **SIZES
    )
    plain = nnx.merge(*split_with_random_weights(plain))
    everything, scale, positions = all_grids(grid), 3.3, grid.height * grid.width
    context = Context(label=jnp.ones(len(everything), jnp.int32))

    def log_softmax(logits):
        logits = np.asarray(logits, np.float64)
        return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))

    given, null = (log_softmax(plain.logits(everything, c)) for c in (context, None))
    share = [t / (positions - 1) for t in range(positions)]
    if schedule == "cosine":
        share = [(1 - math.cos(math.pi * u)) / 2 for u in share]
    scales = 1 + (scale - 1) * np.reshape(share, (grid.height, grid.width, 1, 1))
    expected = log_softmax(null + scales * (given - null))
    model = Guided(plain, scale, schedule)
    # Rounding of logits of size 1 in float32, times the scale. The scale itself is not rounded.
    np.testing.assert_allclose(
        log_softmax(model.logits(everything, context)), expected, rtol=0, atol=1e-5
    )
    assert np.abs(given - null).max() > 0.1
    # It is a distribution, and its first pixel is not guided.
    log_prob = np.asarray(model.log_prob(everything, context), np.float64)
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1.0, rtol=1e-5)
    np.testing.assert_allclose(
        model.logits(everything, context)[:, 0, 0], given[:, 0, 0], rtol=0, atol=1e-5
    )


def split_with_random_weights(model):
    graph, state = nnx.split(model)
    return graph, random_weights(jax.eval_shape(lambda: state), 0)


@pytest.mark.parametrize("kind", ["class", pytest.param("all", marks=pytest.mark.slow)])
def test_a_schedule_keeps_the_laws(kind):
    grid = Grid(3, 5, 1, 4)
    model = Guided(random_model("guided", grid, kind).model, 2.5, "linear")
    graph, weights = nnx.split(model)
    x, context = random_grids(grid, NUM), random_context(grid, kind, NUM)
    whole = evaluate(graph, weights, x, context)[0]
    for columns in (1, 2):
        incremental = incremental_features(graph, weights, x, context, columns)
        np.testing.assert_allclose(incremental, whole, rtol=1e-4, atol=2e-5)
    drawn = sample(model, KEY, NUM, context=context, method="cached")
    np.testing.assert_array_equal(
        drawn, sample(model, KEY, NUM, context=context, method="whole_grids")
    )
    assert (drawn != sample(Guided(model.model, 2.5), KEY, NUM, context=context)).any()


def test_a_schedule_must_have_a_name_that_is_known():
    model = random_model("guided", *TINY_CASES[0]).model
    with pytest.raises(InputError, match="one of constant, linear, cosine, got 'square'"):
        guided(model, 2.0, "square")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["multi_scale", "any_order_transformer_shuffled"])
def test_models_of_several_stages_and_of_other_orders_can_be_guided(name):
    grid, scale = Grid(2, 2, 1, 3), 2.5
    shapes = jax.eval_shape(
        lambda: nnx.state(MODELS[name].make(grid, num_classes=2, null_class=True, rngs=nnx.Rngs(0)))
    )
    model = MODELS[name].make(grid, num_classes=2, null_class=True, rngs=nnx.Rngs(0))
    nnx.update(model, random_weights(shapes, 0))
    everything = all_grids(grid)
    label = jnp.ones(len(everything), jnp.int32)
    given, null = (
        np.asarray(jax.nn.log_softmax(model.logits(everything, context)), np.float64)
        for context in (Context(label=label), None)
    )
    assert np.abs(given - null).max() > 0.1
    towards = guided(model, scale)
    log_prob = np.asarray(towards.log_prob(everything, Context(label=label)), np.float64)
    expected = null + scale * (given - null)
    expected -= np.log(np.exp(expected).sum(axis=-1, keepdims=True))
    of_symbols = np.take_along_axis(expected, everything[..., None], axis=-1)
    np.testing.assert_allclose(log_prob, of_symbols.sum(axis=(1, 2, 3, 4)), rtol=1e-5)
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1.0, rtol=1e-5)
    # The given model is as it was, and both ways to run are the same distribution.
    np.testing.assert_allclose(
        jax.nn.log_softmax(model.logits(everything, Context(label=label))), given, atol=1e-6
    )
    growing, context = guided(model, scale, "cosine"), Context(label=label[:NUM])
    drawn = sample(growing, KEY, NUM, context=context, method="cached")
    np.testing.assert_array_equal(
        drawn, sample(growing, KEY, NUM, context=context, method="whole_grids")
    )


def test_guidance_of_the_null_class_is_the_model_without_a_class():
    grid, kind = TINY_CASES[1]
    model, plain = guided_by(1.7, grid, kind)
    everything = all_grids(grid)
    # No label and no vector, or all hidden.
    given = same_context(grid, kind, len(everything))
    without = Context(map=given.map)
    null = dataclasses.replace(given, hidden=jnp.ones(len(everything), bool))
    ours, own = (evaluate(*nnx.split(m), everything, without)[2] for m in (model, plain))
    np.testing.assert_allclose(ours, own, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(own, evaluate(*nnx.split(plain), everything, null)[2])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("none", "needs a model conditioned on classes or vectors; .* unconditional"),
        ("map", "needs a model conditioned on classes or vectors; .* unconditional"),
        ("class", "needs a model with a null class"),
    ],
)
def test_a_model_without_classes_or_the_null_class_cannot_be_guided(kind, message):
    with pytest.raises(InputError, match=message):
        Guided(random_model("gated_pixel_cnn", TINY_CASES[1][0], kind), 1.7)


def test_a_guided_model_wants_the_context_of_its_model():
    grid, kind = TINY_CASES[1]
    model, _ = guided_by(1.7, grid, kind)
    x, context = random_grids(grid, 2), random_context(grid, kind, 2)
    for given, message in [
        (None, "conditioned on a map of 3 features, but none"),
        (
            dataclasses.replace(context, map=None),
            "conditioned on a map of 3 features, but none",
        ),
        (Context(label=context.label), "but no vector was given, and it takes both or neither"),
        (
            dataclasses.replace(context, label=context.label + 2),
            r"labels in \[0, 2\), got 2 to 3",
        ),
    ]:
        with pytest.raises(InputError, match=message):
            model.features(x, given)


if __name__ == "__main__":
    draw_on_several_devices(sys.argv[1:])

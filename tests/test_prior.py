"""The prior over several levels of codes: the laws of all models, and what is its own.

The models of its levels obey the laws one by one (tests/models/test_laws.py). Here they are to hold
over the levels together: a grid there is a tuple of maps here, the coarsest first. As there,
weights are random numbers, and what is compiled takes them as arguments.
"""

import dataclasses
import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from pixelprior import GatedPixelCNN, Grid, PixelCNN, sample
from pixelprior.context import Context
from pixelprior.errors import InputError
from pixelprior.models.guided import guided
from pixelprior.prior import Prior
from pixelprior.sampling import UNKNOWN, Temperature, TopK
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.vector_quantizer import VectorQuantizer
from tests.goodness_of_fit import chi_square_p_value
from tests.models.catalogue import SIZES
from tests.several_devices import run_on_devices

MODEL = functools.partial(GatedPixelCNN, **SIZES | {"num_layers": 1})
# Of all of these, every tuple of maps can be listed: 4 * 256, 4 * 2 * 256, and 4.
TWO = (Grid(1, 2, 1, 2), Grid(2, 4, 1, 2))
THREE = (Grid(1, 1, 2, 2), Grid(1, 1, 1, 2), Grid(2, 2, 2, 2))  # with two codebooks, one, two
ONE = (Grid(1, 2, 1, 2),)
NUM_CLASSES, LABEL_DROPOUT = 2, 0.25
KEY = jax.random.key(7)


# Settings of priors with each kind of condition, and the vectors of the conditions.
KINDS = {
    "class": dict(),
    "vector": dict(num_classes=0, vector_features=3),
    "both": dict(vector_features=3),
}
VECTORS = np.array([[3.0, 0.0, -2.0], [-2.0, 3.0, 1.0]], np.float32)


@functools.cache
def graph_and_shapes(
    grids,
    num_classes=NUM_CLASSES,
    vector_features=0,
    label_dropout=LABEL_DROPOUT,
    models=None,
):
    # Only traced: drawing real initial weights would compile every distinct shape.
    return nnx.split(
        nnx.eval_shape(
            lambda: Prior(
                grids,
                models or (MODEL,) * len(grids),
                num_classes=num_classes,
                vector_features=vector_features,
                label_dropout=label_dropout,
                context_features=4,
                context_num_blocks=1,
                rngs=nnx.Rngs(0),
            )
        )
    )


def random_weights(shapes, seed=0, scale=0.5):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda s: jnp.asarray(scale * rng.normal(size=s.shape), s.dtype), shapes)


def make(grids=TWO, seed=0, **settings):
    graph, shapes = graph_and_shapes(grids, **settings)
    return nnx.merge(graph, random_weights(shapes, seed))


def random_codes(grids, batch, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, grid.levels, (batch, *grid.shape)).astype(np.int32) for grid in grids]


def all_maps(grid):
    maps = itertools.product(range(grid.levels), repeat=grid.size)
    return np.array(list(maps), np.int32).reshape(-1, *grid.shape)


@functools.cache
def all_codes(grids):
    """Every tuple of maps, as one batch."""
    maps = [all_maps(grid) for grid in grids]
    places = np.indices([len(level) for level in maps]).reshape(len(maps), -1)
    return [level[at] for level, at in zip(maps, places, strict=True)]


def given(kind, batch, number=None):
    """Conditions of a kind: one for all images by its number, or all in turn."""
    in_turn = jnp.arange(batch, dtype=jnp.int32) % NUM_CLASSES
    numbers = in_turn if number is None else jnp.full(batch, number, jnp.int32)
    return Context(
        label=None if kind == "vector" else numbers,
        vector=None if kind == "class" else jnp.asarray(VECTORS)[numbers],
    )


classes = functools.partial(given, "class")


@functools.partial(jax.jit, static_argnames="graph")
def score(graph, weights, codes, context, dropout_key=None):
    """The log-probabilities of all levels, [l, b]."""
    prior = nnx.merge(graph, weights)
    levels = [
        prior.level_log_prob(number, codes, context, dropout_key=dropout_key)
        for number in range(len(codes))
    ]
    return jnp.stack(levels)


def scores(prior, codes, context, dropout_key=None):
    return np.asarray(score(*nnx.split(prior), codes, context, dropout_key), np.float64)


# Law 1: causal, the levels in their order.


@functools.partial(jax.jit, static_argnames="graph")
def conditional_logits(graph, weights, codes, given):
    """The logits of every code of an image given those before it, [b, positions, v]."""
    prior = nnx.merge(graph, weights)
    logits = []
    for number, (model, x) in enumerate(zip(prior.levels, codes, strict=True)):
        context = prior.context(number, codes[:number], given)
        features = model.features(x, context)
        chain = [model.head.logits(features, x[..., :c]) for c in range(model.grid.channels)]
        logits.append(jnp.stack(chain, axis=-2).reshape(x.shape[0], model.grid.size, -1))
    return jnp.concatenate(logits, axis=1)


@pytest.mark.parametrize("grids", [TWO, THREE])
def test_every_code_sees_all_codes_before_it_and_no_other(grids):
    graph, shapes = graph_and_shapes(grids)
    sizes = [grid.size for grid in grids]
    changed = np.zeros((sum(sizes), sum(sizes)), bool)  # [code that is another, logits]
    for seed in range(12):
        weights, one = random_weights(shapes, seed), random_codes(grids, 1, seed)
        flat = np.concatenate([level.ravel() for level in one])
        before = np.repeat(flat[None], len(flat), axis=0)
        after = before ^ np.eye(len(flat), dtype=np.int32)  # two codes of each, 0 and 1
        logits = [
            # Compared bit for bit: both are computed as batches of one size, in the same places.
            np.asarray(conditional_logits(graph, weights, as_maps(x, grids), classes(len(flat), 0)))
            for x in (before, after)
        ]
        changed |= (logits[0] != logits[1]).any(axis=-1)
    np.testing.assert_array_equal(changed, np.triu(np.ones_like(changed), 1))


def as_maps(flat, grids):
    """Codes in their order, [b, positions], as a map for each level."""
    parts = np.split(flat, np.cumsum([grid.size for grid in grids])[:-1], axis=1)
    return [part.reshape(-1, *grid.shape) for part, grid in zip(parts, grids, strict=True)]


def test_gradients_are_zero_where_nothing_is_seen_and_nowhere_else():
    # Every position holds a code of its own, so the gradient with respect to one row of a table is
    # the gradient with respect to one position's embedding.
    grids = (Grid(1, 2, 1, 4), Grid(2, 4, 1, 16))
    graph, shapes = graph_and_shapes(grids)
    orders = [np.random.default_rng(n).permutation(g.levels)[: g.size] for n, g in enumerate(grids)]
    codes = [o.reshape(1, *g.shape).astype(np.int32) for o, g in zip(orders, grids, strict=True)]

    def tables(prior):
        return prior.contexts[0].embeddings[0], prior.levels[1].embedding

    @jax.jit
    def jacobian(weights):
        def features(values):
            prior = nnx.merge(graph, weights)
            for embedding, value in zip(tables(prior), values, strict=True):
                embedding.table = nnx.Param(value)
            context = prior.context(1, codes[:1], classes(1))
            return prior.levels[1].features(codes[1], context)[0]

        return jax.jacrev(features)([t.table[...] for t in tables(nnx.merge(graph, weights))])

    seen = [np.zeros((8, grid.levels), bool) for grid in grids]
    for seed in range(12):
        gradients = jacobian(random_weights(shapes, seed))
        for number, gradient in enumerate(gradients):  # [h, w, d, 1, v, e]
            assert np.isfinite(gradient).all()
            nonzero = (np.asarray(gradient) != 0).any(axis=(2, 3, 5))
            seen[number] |= nonzero.reshape(8, -1)
    # All coarser codes at every position; of its own level, the earlier ones.
    expected = [np.ones((8, 2), bool), np.tril(np.ones((8, 8), bool), -1)]
    for ours, order, wanted in zip(seen, orders, expected, strict=True):
        np.testing.assert_array_equal(ours[:, order], wanted)
        assert not np.delete(ours, order, axis=1).any()


# Law 2: two ways agree; and law 5: one key, one image. All draw as many images, so that what is
# compiled is shared.

NUM = 8
GRIDS = (Grid(2, 2, 1, 5), Grid(4, 4, 2, 17))


def draw(prior, key=KEY, **options):
    return [np.asarray(level) for level in prior.sample(key, NUM, context=classes(NUM), **options)]


def assert_same_codes(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_naive_and_cached_give_the_same_codes():
    prior = make(GRIDS)
    cached = draw(prior)
    assert_same_codes(cached, draw(prior, method="naive"))
    for level, grid in zip(cached, GRIDS, strict=True):
        assert level.shape == (NUM, *grid.shape) and level.dtype == np.int32
        grid.check(level)
        # Different ones, and different ones for another key: nothing is equal for being constant.
        assert len(np.unique(level, axis=0)) > 1
    for ours, other in zip(cached, draw(prior, jax.random.key(8)), strict=True):
        assert (ours != other).any()


@pytest.mark.parametrize("guidance", [None, 1.5])
def test_rows_fill_up_to_the_same_codes_level_by_level(guidance):
    prior = make(GRIDS)
    strategy = [Temperature(0.8)], [TopK(3)]
    known = [np.full((NUM, *grid.shape), UNKNOWN) for grid in GRIDS]
    known[1][:, 1] = 4
    options = dict(guidance=guidance, strategy=strategy, known=known)
    whole = draw(prior, **options)
    drawn = [
        [np.asarray(level) for level in maps]
        for maps in prior.sample_rows(KEY, NUM, context=classes(NUM), **options)
    ]
    assert len(drawn) == sum(grid.height for grid in GRIDS)
    assert_same_codes(drawn[-1], whole)
    for number, (top, bottom) in enumerate(drawn, start=1):
        np.testing.assert_array_equal(top[:, :number], whole[0][:, :number])
        assert (top[:, number:] == UNKNOWN).all()
        rows = max(0, number - 2)
        np.testing.assert_array_equal(bottom[:, :rows], whole[1][:, :rows])
        np.testing.assert_array_equal(bottom[:, rows:], known[1][:, rows:])
    with pytest.raises(InputError, match="this model has no classes"):
        make(GRIDS, num_classes=0).sample_rows(KEY, NUM, context=classes(NUM))


def test_an_image_depends_on_its_number_alone():
    prior = make(GRIDS)
    together = draw(prior)
    for n in range(NUM):
        alone = prior.sample(KEY, 1, context=classes(1, n % NUM_CLASSES), first_image=n)
        assert_same_codes(alone, [level[n : n + 1] for level in together])
    pixels = prior.sample(KEY, NUM, context=classes(NUM), tokenizer=tokenizer())
    context = classes(1, 5 % NUM_CLASSES)
    alone = prior.sample(KEY, 1, context=context, first_image=5, tokenizer=tokenizer())
    # Convolutions of another batch size.
    np.testing.assert_allclose(alone, pixels[5:6], rtol=0, atol=1e-5)


@functools.cache
def tokenizer(seed=0):
    """A tokenizer of 8 x 8 images whose codes are `GRIDS`."""
    sizes = iter((dict(codebook_size=17, num_codebooks=2), dict(codebook_size=5)))
    made = nnx.eval_shape(
        lambda: VQVAE(
            Grid(8, 8, 1, 4),
            strides=(2, 2),
            quantizer=lambda rngs: VectorQuantizer(2, **next(sizes), rngs=rngs),
            features=4,
            residual_features=4,
            num_residual_blocks=1,
            rngs=nnx.Rngs(0),
        )
    )
    graph, shapes = nnx.split(made)
    return nnx.merge(graph, random_weights(shapes, seed, 0.3))


def test_with_a_tokenizer_the_codes_become_its_images():
    prior = make(GRIDS)
    assert tokenizer().code_grids == GRIDS
    pixels = prior.sample(KEY, NUM, context=classes(NUM), tokenizer=tokenizer())
    assert pixels.shape == (NUM, 8, 8, 1)
    expected = tokenizer().decode(draw(prior))
    # The same convolutions, compiled as one and one by one.
    np.testing.assert_allclose(pixels, expected, rtol=0, atol=1e-5)
    assert np.std(pixels, axis=0).max() > 0.05


DEVICES = 4


def draw_on_several_devices():
    """What the child process does: weights everywhere, the batch spread over the devices."""
    mesh = Mesh(np.array(jax.devices()), ("data",))
    assert mesh.size == DEVICES
    everywhere, spread = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ([], ["data"]))
    graph, weights = nnx.split(make(GRIDS))

    @functools.partial(jax.jit, out_shardings=spread)
    def draw_spread(weights, context):
        prior = nnx.merge(graph, weights)
        codes = prior.sample(KEY, NUM, context=context)
        return codes, tokenizer().decode(codes)

    weights, context = jax.device_put(weights, everywhere), jax.device_put(classes(NUM), spread)
    codes, pixels = draw_spread(weights, context)
    for x in (*codes, pixels):
        assert {shard.data.shape[0] for shard in x.addressable_shards} == {NUM // DEVICES}
        print(*np.asarray(x).ravel())


@pytest.mark.slow
def test_the_number_of_devices_changes_nothing():
    told = run_on_devices(DEVICES, __file__)
    *codes, pixels = (np.array(line.split(), float) for line in told.splitlines())
    prior = make(GRIDS)
    for ours, theirs in zip(draw(prior), codes, strict=True):
        np.testing.assert_array_equal(ours.ravel(), theirs)
    ours = prior.sample(KEY, NUM, context=classes(NUM), tokenizer=tokenizer())
    np.testing.assert_allclose(np.ravel(ours), pixels, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("guidance", "schedule"), [(None, "constant"), (3.0, "linear")])
def test_each_level_is_drawn_by_its_model_given_the_coarser_codes(guidance, schedule):
    prior = make(GRIDS)
    top, bottom = draw(prior, guidance=guidance, guidance_schedule=schedule)
    for number, (known, level) in enumerate([([], top), ([top], bottom)]):
        map_ = prior.contexts[0](known) if known else None
        level_model = prior.levels[number]
        own = sample(
            guided(level_model, guidance, schedule),
            jax.random.fold_in(KEY, number),
            NUM,
            context=dataclasses.replace(classes(NUM), map=map_),
        )
        # The map is compiled as one and one by one: a code may fall on another side, hardly any do.
        assert np.mean(np.asarray(own) != level) < 0.02
        if guidance is not None:
            assert np.mean(draw(prior)[number] != level) > 0.1


def test_inside_a_jit_the_codes_are_the_same_and_weights_are_arguments():
    @functools.partial(jax.jit, static_argnames="graph")
    def inside(graph, weights, key, context, temperature, first):
        return nnx.merge(graph, weights).sample(
            key, NUM, context=context, strategy=[Temperature(temperature)], first_image=first
        )

    drawn = []
    for seed, temperature, first in [(0, 0.7, 0), (1, 0.7, 0), (0, 1.5, 0), (0, 0.7, 8)]:
        prior = make(GRIDS, seed=seed)
        codes = inside(*nnx.split(prior), KEY, classes(NUM), temperature, first)
        assert_same_codes(
            codes, draw(prior, strategy=[Temperature(temperature)], first_image=first)
        )
        drawn.append(codes)
    assert inside._cache_size() == 1
    for one, other in itertools.combinations(drawn, 2):
        assert all((a != b).any() for a, b in zip(one, other, strict=True))


# Law 3: normalised.


@functools.partial(jax.jit, static_argnames="graph")
def log_prob(graph, weights, codes, context):
    return nnx.merge(graph, weights).log_prob(codes, context)


def test_the_log_probability_is_the_sum_of_the_levels():
    prior, everything = make(), all_codes(TWO)
    total = log_prob(*nnx.split(prior), everything, None)
    levels = scores(prior, everything, None)
    np.testing.assert_allclose(total, levels.sum(axis=0), rtol=1e-6)
    assert levels.std(axis=1).min() > 0.01


@pytest.mark.parametrize(
    ("grids", "kind"),
    [(ONE, "class"), (TWO, "class"), (THREE, "class"), (TWO, "vector"), (TWO, "both")],
)
def test_normalised(grids, kind):
    prior, everything = make(grids, **KINDS[kind]), all_codes(grids)
    distributions = []
    # Condition by condition, and without one.
    for number in (0, 1, None):
        context = None if number is None else given(kind, len(everything[0]), number)
        levels = scores(prior, everything, context)
        distributions.append(np.exp(levels.sum(axis=0)))
        # Each term is right to about a float32 rounding per code.
        np.testing.assert_allclose(distributions[-1].sum(), 1.0, rtol=1e-5)
        # Every level by itself too, given each of the coarser ones.
        sizes = [grid.levels**grid.size for grid in grids]
        for number, level in enumerate(levels):
            p = np.exp(level).reshape(*sizes[: number + 1], -1)[..., 0]
            np.testing.assert_allclose(p.sum(axis=-1), 1.0, rtol=1e-5)
    for one, other in itertools.combinations(distributions, 2):
        # Far more than rounding, also where there are but two codes in all.
        assert np.abs(one - other).sum() > 1e-3


def test_an_unconditional_prior_is_normalised_too():
    prior, everything = make(num_classes=0), all_codes(TWO)
    assert prior.label_dropout == 0.0
    total = scores(prior, everything, None).sum(axis=0)
    np.testing.assert_allclose(np.exp(total).sum(), 1.0, rtol=1e-5)


# Law 4: the sampler draws from the prior.


def p_value_of(codes, grids, probabilities):
    cells = np.zeros(len(codes[0]), np.int64)
    for level, grid in zip(codes, grids, strict=True):
        flat = np.asarray(level, np.int64).reshape(len(level), -1)
        cells = cells * grid.levels**grid.size + flat @ grid.levels ** np.arange(grid.size)[::-1]
    counts = np.bincount(cells, minlength=len(probabilities))
    return chi_square_p_value(counts, probabilities)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["class", "vector"])
def test_samples_are_distributed_as_the_prior(kind):
    prior, num = make(TWO, **KINDS[kind]), 20_000
    drawn = {n: prior.sample(KEY, num, context=given(kind, num, n)) for n in range(NUM_CLASSES)}
    drawn["null"] = prior.sample(KEY, num)
    everything = all_codes(TWO)
    exact = {
        n: np.exp(scores(prior, everything, given(kind, len(everything[0]), n)).sum(axis=0))
        for n in range(NUM_CLASSES)
    }
    exact["null"] = np.exp(scores(prior, everything, None).sum(axis=0))
    for one, codes in drawn.items():
        for other, probabilities in exact.items():
            # And the check can tell: samples of another condition are refused.
            p_value = p_value_of(codes, TWO, probabilities)
            assert p_value > 1e-3 if one == other else p_value < 1e-9, (one, other)


def test_guidance_by_one_is_none():
    prior = make(GRIDS)
    assert_same_codes(draw(prior, guidance=1.0), draw(prior))


def test_vectors_condition_the_codes():
    prior, context = make(TWO, **KINDS["both"]), given("both", NUM)
    codes = prior.sample(KEY, NUM, context=context)
    *_, rows = prior.sample_rows(KEY, NUM, context=context)
    assert_same_codes(codes, rows)
    # With the classes as they were, other vectors give other codes.
    others = prior.sample(KEY, NUM, context=dataclasses.replace(context, vector=-context.vector))
    assert any((level != other).any() for level, other in zip(codes, others, strict=True))


# Strategies.


def test_strategies_for_all_levels_or_for_each():
    prior = make(GRIDS)
    sharp, plain = draw(prior, strategy=[TopK(1)]), draw(prior)
    each = draw(prior, strategy=[[TopK(1)], [TopK(1)]])
    assert_same_codes(sharp, each)
    # The likeliest codes need no luck: one map for each class, and there are two in turn.
    for level in sharp:
        np.testing.assert_array_equal(level, np.concatenate([level[:2]] * (NUM // 2)))
    assert (sharp[1][0] != sharp[1][1]).any()
    # Only the top: all tops of a class are one; the bottoms go on to differ.
    top, bottom = draw(prior, strategy=[[TopK(1)], []])
    np.testing.assert_array_equal(top, sharp[0])
    assert len(np.unique(bottom, axis=0)) == NUM
    # Only the bottom: the tops are as they were without.
    top, bottom = draw(prior, strategy=([], (TopK(1), Temperature(0.5))))
    np.testing.assert_array_equal(top, plain[0])
    assert (bottom != plain[1]).any()
    for a, b in itertools.combinations(range(NUM), 2):
        if a % NUM_CLASSES == b % NUM_CLASSES and (top[a] == top[b]).all():
            np.testing.assert_array_equal(bottom[a], bottom[b])
    assert_same_codes(draw(prior, strategy=[(), ()]), plain)
    # One strategy needs no sequence, as for models.
    assert_same_codes(draw(prior, strategy=TopK(1)), sharp)
    assert_same_codes(draw(prior, strategy=[TopK(1), [TopK(1)]]), sharp)


# Conditions.


def test_no_label_is_the_null_class():
    prior, codes = make(TWO), all_codes(TWO)
    null = scores(prior, codes, None)
    given = scores(prior, codes, classes(len(codes[0]), NUM_CLASSES))
    np.testing.assert_allclose(null, given, rtol=1e-5)
    assert np.abs(null - scores(prior, codes, classes(len(codes[0]), 0))).max() > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_conditions_are_none(kind):
    prior, codes = make(TWO, **KINDS[kind]), all_codes(TWO)
    batch = len(codes[0])
    context, hidden = given(kind, batch), jnp.arange(batch) % 3 == 0
    found = scores(prior, codes, dataclasses.replace(context, hidden=hidden))
    with_, without = scores(prior, codes, context), scores(prior, codes, None)
    np.testing.assert_allclose(found, np.where(hidden, without, with_), rtol=1e-5)
    assert np.abs(with_ - without).max() > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_some_conditions_are_hidden_in_training_and_none_otherwise(kind):
    prior, codes = make(TWO, **KINDS[kind]), all_codes(TWO)
    batch = len(codes[0])
    context = given(kind, batch)
    shown, null = scores(prior, codes, context), scores(prior, codes, None)
    apart = np.abs(shown - null) > 1e-3
    assert apart.mean() > 0.9
    hidden = []
    for seed in range(2):
        dropped = scores(prior, codes, context, jax.random.key(seed))
        is_null = np.isclose(dropped, null, rtol=0, atol=1e-5)
        is_shown = np.isclose(dropped, shown, rtol=0, atol=1e-5)
        # Each image of each level is scored either with its condition or without.
        assert (is_null | is_shown).all()
        assert (is_null ^ is_shown)[apart].all()
        hidden.append(is_null & apart)
    for shares in hidden:
        for level, distinct in zip(shares, apart, strict=True):
            n = distinct.sum()
            # Four standard deviations of a binomial.
            spread = 4 * math.sqrt(LABEL_DROPOUT * (1 - LABEL_DROPOUT) / n)
            assert abs(level.sum() / n - LABEL_DROPOUT) < spread
    # Other ones on every level, and for every key.
    assert (hidden[0][0] != hidden[0][1]).any()
    assert (hidden[0] != hidden[1]).any()
    # What is not given cannot be hidden.
    np.testing.assert_allclose(scores(prior, codes, None, KEY), null, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["class", "vector"])
def test_without_label_dropout_no_condition_is_hidden(kind):
    prior, codes = make(ONE, label_dropout=0.0, **KINDS[kind]), random_codes(ONE, 64)
    dropped, shown = (scores(prior, codes, given(kind, 64), key) for key in (KEY, None))
    np.testing.assert_allclose(dropped, shown, rtol=0, atol=1e-5)


def test_the_key_drops_features_too():
    models = (functools.partial(MODEL, dropout_rate=0.5),)
    prior, codes = make(ONE, models=models, num_classes=0), random_codes(ONE, 64)
    plain, *dropped = (scores(prior, codes, None, key) for key in (None, KEY, jax.random.key(8)))
    for one, other in itertools.combinations([plain, *dropped], 2):
        assert np.mean(np.abs(one - other) > 1e-4) > 0.5


# Levels are learned one by one.


def test_a_levels_probability_depends_on_its_own_weights_alone():
    graph, shapes = graph_and_shapes(TWO)
    codes = random_codes(TWO, 16)

    @jax.jit
    def gradients(weights):
        def level(weights, number):
            return nnx.merge(graph, weights).level_log_prob(number, codes, classes(16)).sum()

        return [jax.grad(functools.partial(level, number=n))(weights) for n in range(2)]

    for number, gradient in enumerate(gradients(random_weights(shapes))):
        paths = jax.tree_util.tree_flatten_with_path(gradient)[0]
        own = []
        for path, values in paths:
            kind, place = (entry.key for entry in path[:2])
            assert kind in ("levels", "contexts")
            if place + (kind == "contexts") == number:
                own.append((path, np.any(np.asarray(values) != 0)))
            else:
                np.testing.assert_array_equal(values, 0)
        # Some relus are off, but hardly all: most of its own have a gradient.
        assert np.mean([nonzero for _, nonzero in own]) > 0.7
        kinds = {path[0].key for path, nonzero in own if nonzero}
        assert kinds == ({"levels", "contexts"} if number else {"levels"})


@pytest.mark.slow
def test_levels_may_be_of_different_kinds():
    small = functools.partial(
        PixelCNN, features=4, num_layers=1, embedding_features=3, head_features=6
    )
    prior = make(TWO, models=(small, MODEL))
    assert [type(level) for level in prior.levels] == [PixelCNN, GatedPixelCNN]
    assert prior.num_codes == 10
    assert [level.context_shape.map_features for level in prior.levels] == [0, 4]


def test_codes_may_come_as_any_integers():
    # 2 * 200 places in the table: more than bytes can tell apart.
    grids = (Grid(1, 2, 2, 200), Grid(1, 2, 1, 2))
    prior, (coarser, _) = make(grids), random_codes(grids, 3)
    context = jax.jit(lambda codes: prior.context(1, [codes], None).map)
    expected = context(coarser)
    for kind in (np.uint8, np.int16):
        np.testing.assert_array_equal(context(coarser.astype(kind)), expected)


# What does not fit is refused.


@pytest.mark.parametrize(
    ("grids", "models", "message"),
    [
        (TWO, 1, "one model for each of 2 grids, got 1"),
        (ONE, 2, "one model for each of 1 grids, got 2"),
        ((), 0, "grids must be a list of the grids of the codes"),
        ((Grid(2, 2, 1, 2), Grid(4, 6, 1, 2)), 2, "one multiple of 2 x 2, got 4 x 6"),
        ((Grid(2, 4, 1, 2), Grid(1, 2, 1, 2)), 2, "one multiple of 2 x 4, got 1 x 2"),
        ((Grid(2, 2, 1, 2), Grid(5, 5, 1, 2)), 2, "one multiple of 2 x 2, got 5 x 5"),
    ],
)
def test_grids_that_do_not_fit_each_other(grids, models, message):
    with pytest.raises(InputError, match=message):
        graph_and_shapes(grids, models=(MODEL,) * models if models else ())


def test_codes_that_do_not_fit():
    prior, codes = make(TWO), random_codes(TWO, 4)
    out_of_range = r"symbols in \[0, 2\), got values from"
    for given, message in [
        (codes[:1], "expected 2 maps of codes, the coarsest first, got 1"),
        ([*codes, codes[1]], "expected 2 maps of codes, the coarsest first, got 3"),
        (codes[::-1], r"symbols of shape \[batch, 1, 2, 1\], got \(4, 2, 4, 1\)"),
        ([codes[0] + 2, codes[1]], f"{out_of_range} 2 to"),
        ([codes[0] - 1, codes[1]], f"{out_of_range} -1 to"),
        ([codes[0] * 1.0, codes[1]], "integer symbols"),
    ]:
        with pytest.raises(InputError, match=message):
            prior.log_prob(given, classes(4))
    # A level sees that of the coarser codes too.
    with pytest.raises(InputError, match=f"{out_of_range} 2 to"):
        prior.level_log_prob(1, [codes[0] + 2, codes[1]], classes(4))


def test_conditions_that_do_not_fit():
    codes = random_codes(TWO, 4)
    unconditional = make(TWO, num_classes=0)
    for refuse in (
        lambda: unconditional.log_prob(codes, classes(4)),
        lambda: unconditional.level_log_prob(1, codes, classes(4), dropout_key=KEY),
        lambda: unconditional.sample(KEY, 4, context=classes(4)),
    ):
        with pytest.raises(InputError, match="a label was given, but this model has no classes"):
            refuse()
    of_classes, of_both = make(TWO), make(TWO, **KINDS["both"])
    context, map_ = given("both", 4), jnp.zeros((4, 1, 2, 4))
    for prior, wrong, message in [
        (of_classes, classes(4, -1), r"labels in \[0, [23]\), got -1 to -1"),
        (of_classes, classes(4, NUM_CLASSES + 1), r"labels in \[0, [23]\), got 3 to 3"),
        (of_classes, classes(3), r"one integer label per grid, shape \(4,\), got int32 \(3,\)"),
        (of_classes, Context(label=jnp.zeros(4)), r"shape \(4,\), got float32"),
        (of_classes, jnp.zeros(4, int), "expected a Context, got"),
        (of_classes, context, "a vector was given, but this model was built without"),
        (of_both, Context(label=context.label), "no vector was given, and it takes both"),
        (of_both, Context(vector=context.vector), "no label was given, and it takes both"),
        (of_both, given("both", 3), r"one integer label per grid, shape \(4,\)"),
        (of_both, dataclasses.replace(context, vector=jnp.zeros((4, 2))), r"of shape \(4, 3\)"),
        (of_both, dataclasses.replace(context, map=map_), "a map was given"),
        (of_both, dataclasses.replace(context, order=map_), "an order was given"),
    ]:
        with pytest.raises(InputError, match=message):
            prior.log_prob(codes, wrong)
        with pytest.raises(InputError, match=message):
            prior.sample(KEY, 4, context=wrong)


@pytest.mark.parametrize("settings", [dict(num_classes=0), dict(label_dropout=0.0)])
def test_guidance_wants_label_dropout(settings):
    prior = make(TWO, **settings)
    with pytest.raises(InputError, match="guidance needs .* label_dropout above 0"):
        prior.sample(KEY, 2, guidance=1.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(num=0), "num must be at least 1, got 0"),
        (
            dict(method="fast"),
            "method must be one of auto, cached, fixed_point, whole_grids, naive, got 'fast'",
        ),
        (dict(strategy=[[TopK(1)]]), "strategies for each of the 2 levels, got 1"),
        (dict(strategy=[[], [], []]), "strategies for each of the 2 levels, got 3"),
    ],
)
def test_what_cannot_be_drawn(options, message):
    with pytest.raises(InputError, match=message):
        make(TWO).sample(KEY, **{"num": 2} | options)


def test_the_tokenizer_of_other_codes():
    with pytest.raises(InputError, match="the tokenizer's codes are .*, but this prior's"):
        make(TWO).sample(KEY, 2, tokenizer=tokenizer())


if __name__ == "__main__":
    draw_on_several_devices()


def test_a_prior_has_no_turned_codes():
    turning = functools.partial(GatedPixelCNN, features=4, num_layers=1, turns=True)
    with pytest.raises(InputError, match="give models without turns=True"):
        Prior([Grid(2, 2, 1, 3)], [turning], rngs=nnx.Rngs(0))

"""`sample` as people call it: what it accepts, what it compiles, and inside their own jit."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior import Context, Grid, PixelCNN
from pixelprior.errors import InputError
from pixelprior.sampling import Temperature, TopK, sample
from pixelprior.sampling.labels import label_context
from tests.compilations import compilations

GRID = Grid(2, 3, 1, 4)
KEY = jax.random.key(0)


@functools.cache
def graph_and_shapes(num_classes):
    return nnx.split(
        nnx.eval_shape(
            lambda: PixelCNN(
                GRID,
                features=4,
                num_layers=1,
                first_kernel_size=3,
                embedding_features=3,
                head_features=4,
                num_classes=num_classes,
                rngs=nnx.Rngs(0),
            )
        )
    )


def make(num_classes=0, seed=0):
    graph, shapes = graph_and_shapes(num_classes)
    rng = np.random.default_rng(seed)
    return nnx.merge(
        graph, jax.tree.map(lambda s: jnp.asarray(rng.normal(size=s.shape), s.dtype), shapes)
    )


def test_compiles_once_per_shape():
    first = sample(make(), KEY, 4, strategy=(Temperature(0.5), TopK(3)))
    # Another model of the same kind, other settings, another key and other images: nothing anew.
    models, key, others = [make(seed=seed) for seed in (0, 1)], jax.random.key(1), []
    with compilations() as compiled:
        changed = [(1, 0.5, 3, 0), (0, 2.0, 3, 0), (0, 0.5, 2, 0), (0, 0.5, 3, 4)]
        for seed, temperature, k, n in changed:
            strategies = (Temperature(temperature), TopK(k))
            others.append(sample(models[seed], KEY, 4, strategy=strategies, first_image=n))
        sample(models[0], key, 4, strategy=[Temperature(0.5), TopK(3)])
    assert not compiled
    # Each of them matters all the same.
    assert all((other != first).any() for other in others)


def test_inside_a_jit_the_result_is_the_same_and_weights_are_arguments():
    @functools.partial(jax.jit, static_argnames="graph")
    def draw(graph, weights, key, label, temperature):
        model = nnx.merge(graph, weights)
        strategy = Temperature(temperature)
        return sample(model, key, 4, context=Context(label=label), strategy=strategy)

    label = jnp.array([0, 1, 2, 0])
    outside = []
    for seed in range(2):
        model = make(num_classes=3, seed=seed)
        graph, weights = nnx.split(model)
        inside = draw(graph, weights, KEY, label, 1.5)
        outside.append(
            sample(model, KEY, 4, context=Context(label=label), strategy=Temperature(1.5))
        )
        np.testing.assert_array_equal(inside, outside[-1])
    assert (outside[0] != outside[1]).any()
    assert draw._cache_size() == 1


def test_one_strategy_needs_no_tuple_and_temperature_one_is_the_model():
    model = make()
    plain = sample(model, KEY, 4)
    np.testing.assert_array_equal(sample(model, KEY, 4, strategy=Temperature(1.0)), plain)
    np.testing.assert_array_equal(sample(model, KEY, 4, strategy=[]), plain)


def test_the_likeliest_levels_need_no_luck():
    model = make()
    likeliest = np.asarray(sample(model, KEY, 4, strategy=(TopK(1), Temperature(0.5))))
    # Whatever the noise, all images are the one that takes the likeliest symbol at each place.
    expected = np.zeros((1, *GRID.shape), np.int32)
    logits = jax.jit(lambda x: model.head.logits(model.features(x), x[..., :0]))
    for i, j in np.ndindex(2, 3):
        expected[0, i, j, 0] = np.argmax(logits(expected)[0, i, j])
    np.testing.assert_array_equal(likeliest, np.repeat(expected, 4, axis=0))


@pytest.mark.parametrize(
    ("num", "options", "message"),
    [
        (0, {}, "num must be at least 1, got 0"),
        (-2, {}, "num must be at least 1, got -2"),
        (
            1,
            {"method": "fast"},
            "method must be one of auto, cached, fixed_point, whole_grids, naive, got 'fast'",
        ),
        (1, {"context": Context(label=jnp.zeros(1, int))}, "this model has no classes"),
    ],
)
def test_what_cannot_be_drawn_is_refused(num, options, message):
    with pytest.raises(InputError, match=message):
        sample(make(), KEY, num, **options)


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (None, "conditioned on 3 classes, but no label was given"),
        (Context(label=jnp.zeros(3, int)), r"one integer label per grid, shape \(2,\)"),
        (Context(label=jnp.array([0, 3])), r"labels in \[0, 3\), got 0 to 3"),
        (Context(label=jnp.array([-1, 2])), r"labels in \[0, 3\), got -1 to 2"),
    ],
)
def test_labels_that_do_not_fit_are_refused(context, message):
    with pytest.raises(InputError, match=message):
        sample(make(num_classes=3), KEY, 2, context=context)


# Labels.


def test_without_a_label_all_classes_take_turns():
    model = make(num_classes=3)
    np.testing.assert_array_equal(label_context(model, None, 5).label, [0, 1, 2, 0, 1])
    # In whatever batches they are drawn.
    later = label_context(model, None, 3, first_image=5)
    np.testing.assert_array_equal(later.label, [2, 0, 1])


def test_a_label_is_everyones():
    context = label_context(make(num_classes=3), 2, 4, first_image=7)
    np.testing.assert_array_equal(context.label, [2, 2, 2, 2])
    assert context.map is None


def test_an_unconditional_model_has_no_labels():
    assert label_context(make(), None, 4) is None
    with pytest.raises(InputError, match="label 0 was given, but this model has no classes"):
        label_context(make(), 0, 4)


@pytest.mark.parametrize("label", [-1, 3])
def test_unknown_labels_are_refused(label):
    with pytest.raises(InputError, match=rf"label must be in \[0, 3\), got {label}"):
        label_context(make(num_classes=3), label, 4)

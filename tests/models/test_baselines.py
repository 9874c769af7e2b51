"""MADE and NADE against the equations of their papers, in NumPy and float64."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior import MADE, NADE, Context, Grid
from pixelprior.errors import InputError
from pixelprior.nn.masked_linear import MaskedLinear
from tests.nn.test_heads import numpy_logits

GRID = Grid(2, 3, 2, 4)
PIXELS = 6
CONTEXT = Context(
    label=jnp.array([1, 0, 1]),
    map=jnp.asarray(np.random.default_rng(2).normal(size=(3, 2, 3, 2)), jnp.float32),
)
SIZES = dict(features=5, output_features=3, embedding_features=2, head_features=4)


def random_model(make, **settings):
    graph, shapes = nnx.split(
        nnx.eval_shape(
            lambda: make(GRID, num_classes=2, map_features=2, **SIZES, **settings, rngs=nnx.Rngs(0))
        )
    )
    rng = np.random.default_rng(0)
    return nnx.merge(
        graph, jax.tree.map(lambda s: jnp.asarray(0.5 * rng.normal(size=s.shape), s.dtype), shapes)
    )


def some_grids():
    return np.random.default_rng(1).integers(0, GRID.levels, (3, *GRID.shape)).astype(np.int32)


def f64(parameter):
    return np.float64(parameter[...])


def embedded(model, image):
    """The embedding of each pixel of an image, in raster order."""
    table = f64(model.embedding.table)
    pixels = image.reshape(PIXELS, GRID.channels)
    return [sum(table[c, value] for c, value in enumerate(pixel)) for pixel in pixels]


def encoded(model, number):
    """The encoded context of each pixel of an image, in raster order."""
    encoder = model.context_encoder
    label = f64(encoder.label.embedding)[int(CONTEXT.label[number])]
    vectors = np.float64(CONTEXT.map[number]).reshape(PIXELS, -1)
    return [label + vector @ f64(encoder.map.kernel) + f64(encoder.map.bias) for vector in vectors]


def log_prob_of(model, image, features):
    """The log-probability of an image, given the features of its pixels."""
    total = 0.0
    for pixel, vector in zip(image.reshape(PIXELS, -1), features, strict=True):
        for channel, value in enumerate(pixel):
            logits = numpy_logits(model.head, vector, pixel, channel)
            total += logits[value] - np.log(np.exp(logits).sum())
    return total


def nade_features(model, image, context):
    """With the sigmoid of the paper: tanh(t) is 2 sigmoid(2 t) - 1."""
    x, inputs, outputs = embedded(model, image), f64(model.inputs.kernel), f64(model.outputs.kernel)
    features = []
    for n in range(PIXELS):
        total = f64(model.bias) + context[n]
        for m in range(n):
            # The weights of a pixel are stored with the pixel after it.
            total = total + x[m] @ inputs[m + 1]
        hidden = 1 / (1 + np.exp(-2 * total))
        bias = f64(model.output_bias)[n] - outputs[n].sum(axis=0)
        features.append(hidden @ (2 * outputs[n]) + bias)
    return features


def made_features(model, image, context):
    """With the masks of the paper: degrees of units, and what they say of every weight."""
    # Inputs and outputs are numbered from 1. A unit of degree m depends on the inputs up to m.
    number = np.arange(1, PIXELS + 1)
    x, degrees = np.concatenate(embedded(model, image)), np.repeat(number, 2)
    unit_degrees = np.repeat(number - 1, SIZES["features"])
    for depth, layer in enumerate(model.hidden):
        mask = unit_degrees[:, None] >= degrees
        total = (f64(layer.kernel) * mask.T).T @ x + f64(layer.bias).ravel()
        if depth == 0:
            total = total + np.concatenate(context) @ f64(model.context.kernel)
        x, degrees = np.maximum(total, 0), unit_degrees
    mask = np.repeat(number, SIZES["output_features"])[:, None] > degrees
    features = (f64(model.output.kernel) * mask.T).T @ x + f64(model.output.bias).ravel()
    return features.reshape(PIXELS, -1)


@pytest.mark.parametrize(
    ("make", "settings", "features_of"),
    [
        (NADE, {}, nade_features),
        (MADE, {"num_layers": 1}, made_features),
        (MADE, {"num_layers": 3}, made_features),
    ],
)
def test_log_probabilities_are_those_of_the_papers_equations(make, settings, features_of):
    model, images = random_model(make, **settings), some_grids()
    features = np.stack(
        [features_of(model, image, encoded(model, n)) for n, image in enumerate(images)]
    )
    ours = np.asarray(model.features(images, CONTEXT)).reshape(features.shape)
    # Float32 sums of some tens of terms of size 1.
    np.testing.assert_allclose(ours, features, rtol=1e-4, atol=1e-4)
    expected = [log_prob_of(model, *pair) for pair in zip(images, features, strict=True)]
    np.testing.assert_allclose(model.log_prob(images, CONTEXT), expected, rtol=1e-5)


def paths(layers, start, end):
    """Number of ways through layers of units, each of which leads to its own pixel or later.

    The first layer leads to later pixels only.
    """
    ways = itertools.product(range(PIXELS), repeat=layers - 1)
    return sum(
        start < way[0] and all(a <= b for a, b in itertools.pairwise(way)) and way[-1] == end
        for way in ((*way, end) for way in ways)
    )


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_each_output_has_a_path_from_exactly_the_earlier_pixels(num_layers):
    units = 2
    kinds = ["A"] + ["B"] * num_layers
    sizes = [1] + [units] * num_layers + [1]
    layers = [
        MaskedLinear(kind, GRID, d, e, rngs=nnx.Rngs(0))
        for kind, d, e in zip(kinds, sizes[:-1], sizes[1:], strict=True)
    ]
    # With ones as weights, a linear network counts the paths.
    connections = np.zeros((PIXELS, PIXELS), int)
    for pixel in range(PIXELS):
        x = jnp.zeros((1, PIXELS, 1)).at[0, pixel].set(1.0).reshape(1, 2, 3, 1)
        for layer in layers:
            layer.kernel[...] = jnp.ones_like(layer.kernel[...])
            x = layer(x)
        connections[pixel] = np.asarray(x).ravel()
    expected = [
        [units**num_layers * paths(num_layers + 1, m, n) for n in range(PIXELS)]
        for m in range(PIXELS)
    ]
    np.testing.assert_array_equal(connections, expected)
    np.testing.assert_array_equal(connections > 0, np.triu(np.ones((PIXELS, PIXELS)), 1) > 0)


@pytest.mark.parametrize("kind", ["A", "B"])
def test_a_masked_layer_by_hand(kind):
    # One row of three pixels, with two features in and one out.
    layer = MaskedLinear(kind, Grid(1, 3, 1, 2), 2, 1, rngs=nnx.Rngs(0))
    layer.kernel[...] = jnp.arange(18.0).reshape(6, 3)
    layer.bias[...] = jnp.array([[[0.5], [0.25], [0.125]]])
    y = layer(jnp.array([[[[1.0, 10.0], [100.0, 1000.0], [1e4, 1e5]]]]))[0, 0, :, 0]
    # Rows 0 and 1 of the kernel are of pixel 0, rows 2 and 3 of pixel 1.
    first = [0.0, 1 + 10 * 4.0, 2 + 10 * 5.0]
    second = [0.0, 0.0, 100 * 8.0 + 1000 * 11.0]
    own = [0 + 10 * 3.0, 100 * 7.0 + 1000 * 10.0, 1e4 * 14 + 1e5 * 17]
    expected = np.sum([first, second], axis=0) + [0.5, 0.25, 0.125]
    np.testing.assert_allclose(y, expected + (np.array(own) if kind == "B" else 0))


@pytest.mark.parametrize("make", [MADE, NADE])
def test_the_first_pixel_depends_on_the_class(make):
    model, images = random_model(make), some_grids()
    other = Context(label=1 - CONTEXT.label, map=CONTEXT.map)
    before, after = (model.features(images, context)[:, 0, 0] for context in (CONTEXT, other))
    assert (np.asarray(before) != np.asarray(after)).any(axis=-1).all()


def test_every_pixel_of_made_depends_on_the_whole_map():
    model, images = random_model(MADE), some_grids()
    before = np.asarray(model.features(images, CONTEXT))
    for i, j in np.ndindex(2, 3):
        context = Context(label=CONTEXT.label, map=CONTEXT.map.at[:, i, j].add(1.0))
        after = np.asarray(model.features(images, context))
        assert (before != after).any(axis=(0, -1)).all()


@pytest.mark.parametrize(
    ("make", "setting"),
    [(MADE, "num_layers"), (MADE, "output_features"), (NADE, "output_features")],
)
def test_sizes_are_checked(make, setting):
    with pytest.raises(InputError, match=f"{setting} must be an integer of at least 1, got 0"):
        make(GRID, rngs=nnx.Rngs(0), **{setting: 0})


@pytest.mark.parametrize("make", [NADE, MADE])
def test_a_pixel_that_never_changes_is_learned(make):
    """The first pixel has no features but a bias, and zero is where a ReLU has no gradient."""
    grid = Grid(4, 4, 1, 3)
    model = make(grid, output_features=8, features=5, rngs=nnx.Rngs(0))
    same = jnp.zeros((2, *grid.shape), jnp.int32)

    def loss(model):
        return -model.log_prob(same).mean()

    gradient = nnx.grad(loss)(model)
    bias = gradient.output.bias if make is MADE else gradient.output_bias
    learns = np.abs(np.asarray(bias[...]).reshape(16, 8)).max(axis=1) > 1e-3
    assert learns.all(), np.flatnonzero(~learns)

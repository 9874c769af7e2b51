"""The likelihood without classes, against the sum over all of them."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import pixelprior as pp
from pixelprior.cli.tables.evaluation import evaluation_table
from pixelprior.data import Split, Symbols
from pixelprior.data.decode_once import DecodeOnce
from pixelprior.errors import InputError
from pixelprior.evaluation.marginal import evaluate_marginal
from pixelprior.runs.evaluate import evaluate
from pixelprior.system.devices import data_mesh

GRID = pp.Grid(2, 2, 1, 3)
NUM_CLASSES = 4
SIZES = {"features": 4, "num_layers": 1, "embedding_features": 4, "head_features": 8}


class AllImages:
    """All images of the grid, with some labels."""

    def __init__(self):
        grids = itertools.product(range(GRID.levels), repeat=GRID.size)
        self.images = np.array(list(grids), np.uint8).reshape(-1, *GRID.shape)
        self.labels = np.random.default_rng(0).integers(0, NUM_CLASSES, len(self.images))

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return {"image": self.images[index], "label": int(self.labels[index])}


def random_model(kind, **settings):
    model = kind(GRID, num_classes=NUM_CLASSES, rngs=nnx.Rngs(0), **SIZES, **settings)
    # Fresh models score all images alike.
    graph, weights = nnx.split(model)
    return nnx.merge(graph, jax.tree.map(lambda x: 3 * x, weights))


@pytest.mark.parametrize("batch_size", [8, 60])
def test_it_is_a_distribution_of_images_alone(batch_size):
    model, images = random_model(pp.GatedPixelCNN), AllImages()
    split = Split("test", DecodeOnce(images, GRID.shape), 3, "all of it")
    result = evaluate_marginal(
        model, split, Symbols(3, "none"), batch_size=batch_size, mesh=data_mesh()
    )
    # In float64, from the probability of each image under each class.
    x = jnp.asarray(images.images, jnp.int32)
    labels = [pp.Context(label=jnp.full(len(x), c)) for c in range(NUM_CLASSES)]
    log_probs = np.array([model.log_prob(x, label) for label in labels], np.float64)
    assert log_probs.std(axis=0).mean() > 0.1
    nats = -np.log(np.exp(log_probs).mean(axis=0))
    np.testing.assert_allclose(result.per_image, nats, rtol=1e-5)
    np.testing.assert_allclose(result.nats, nats.mean(), rtol=1e-5)
    np.testing.assert_allclose(result.nats_error, nats.std(ddof=1) / 9, rtol=1e-4)
    np.testing.assert_allclose(result.bits_per_dim, nats.mean() / 4 / math.log(2), rtol=1e-5)
    assert result.accuracy == pytest.approx((log_probs.argmax(axis=0) == images.labels).mean())
    # All 81 images together have probability 1.
    assert np.exp(-result.per_image).sum() == pytest.approx(1, rel=1e-5)


def test_an_any_order_model_is_measured_in_one_order_of_each_image():
    model, images = random_model(pp.AnyOrderTransformer, num_heads=1), AllImages()
    split = Split("test", DecodeOnce(images, GRID.shape), 3, "all of it")
    arguments = {"batch_size": 81, "mesh": data_mesh()}
    result = evaluate_marginal(model, split, Symbols(3, "none"), **arguments)
    x = jnp.asarray(images.images, jnp.int32)
    orders = pp.jitted.ImageOrders(0, 0)
    log_probs = [
        pp.jitted.random_order_log_prob(model, x, pp.Context(label=jnp.full(81, c)), orders)
        for c in range(NUM_CLASSES)
    ]
    nats = -np.log(np.exp(np.array(log_probs, np.float64)).mean(axis=0))
    np.testing.assert_allclose(result.per_image, nats, rtol=1e-5)


def test_a_run_is_measured_on_request():
    images = AllImages()
    model = random_model(pp.GatedPixelCNN)
    settings = {"num_steps": 2, "batch_size": 8, "progress": False, "label_dropout": 0.0}
    run = pp.fit(model, images.images, images.labels, **settings)
    assert "marginal_nats" not in pp.evaluate(run, baselines=False)
    result = pp.evaluate(run, baselines=False, marginal=True)
    split = run.images[0].splits["test"]
    pixels, labels = split.source.read(np.arange(len(split)))
    by_class = [pp.log_prob(run, pixels.astype(np.int32), label=c) for c in range(NUM_CLASSES)]
    log_probs = np.array(by_class, np.float64)
    nats = -np.log(np.exp(log_probs).mean(axis=0))
    assert result["marginal_nats"] == pytest.approx(nats.mean(), rel=1e-5)
    assert result["class_accuracy"] == pytest.approx((log_probs.argmax(axis=0) == labels).mean())
    measured = evaluate(run, baselines=False, marginal=True)
    np.testing.assert_allclose(measured.per_image["marginal_nats"], nats, rtol=1e-5)
    table = evaluation_table(measured.result)
    (row,) = [line.split() for line in table if line.startswith("without classes")]
    assert row[-2:] == [f"{nats.mean():.3f}", f"{nats.mean() / 4 / math.log(2):.4f}"]
    assert f"most probable one for {result['class_accuracy']:.1%} of the images" in table[-1]


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("digits", "marginal sums over classes, and this model has none; leave it out"),
        ("fashion_mnist_prior", "marginal is for pixel models, and this run is a prior; leave"),
    ],
)
def test_a_run_that_cannot_be_measured_so_is_refused(run, message):
    with pytest.raises(InputError, match=message):
        pp.evaluate(run, marginal=True)

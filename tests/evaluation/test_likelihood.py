"""The likelihood of a split, against the model's own log-probabilities averaged in float64."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior.context import Context
from pixelprior.data import Split, Symbols
from pixelprior.data.decode_once import DecodeOnce
from pixelprior.errors import InputError
from pixelprior.evaluation.likelihood import evaluate_likelihood
from pixelprior.grid import Grid
from pixelprior.models import AnyOrderTransformer, PixelCNN
from pixelprior.system.devices import data_mesh

GRID = Grid(3, 2, 1, 4)


class Images:
    def __init__(self, count, *, labels=3):
        rng = np.random.default_rng(0)
        self.images = rng.integers(0, 4, (count, *GRID.shape)).astype(np.uint8)
        self.labels = rng.integers(0, labels, count)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return {"image": self.images[index], "label": int(self.labels[index])}


@pytest.fixture(scope="module", params=[0, 3], ids=["unconditional", "conditional"])
def model(request):
    model = PixelCNN(
        GRID,
        features=4,
        num_layers=1,
        embedding_features=4,
        head_features=8,
        num_classes=request.param,
        rngs=nnx.Rngs(0),
    )
    # Fresh models know next to nothing, and score all images alike.
    graph, weights = nnx.split(model)
    return nnx.merge(graph, jax.tree.map(lambda x: 3 * x, weights))


def evaluate(model, images, batch_size, **settings):
    split = Split("test", DecodeOnce(images, GRID.shape), 4, "all of it")
    return evaluate_likelihood(
        model, split, Symbols(4, "none"), batch_size=batch_size, mesh=data_mesh(), **settings
    )


def scores(model, images):
    context = None
    if model.context_shape.num_classes:
        context = Context(label=jnp.asarray(images.labels, jnp.int32))
    log_prob = model.log_prob(jnp.asarray(images.images, jnp.int32), context)
    return -np.asarray(log_prob, np.float64)


# A batch that fits, one that is filled up by 1, by 6, and one larger than the split.
@pytest.mark.parametrize("batch_size", [1, 7, 4, 8, 40])
def test_every_image_counts_once(model, batch_size):
    images = Images(21)
    nats = scores(model, images)
    # An image counted twice, or left out, would be seen.
    assert nats.std() > 0.1
    result = evaluate(model, images, batch_size)
    assert result.num_images == 21
    # float32 scores of some 10 nats, in batches of other shapes.
    np.testing.assert_allclose(result.nats, nats.mean(), rtol=1e-6)
    error = math.sqrt(((nats - nats.mean()) ** 2).sum() / 20) / math.sqrt(21)
    np.testing.assert_allclose(result.nats_error, error, rtol=1e-5)
    np.testing.assert_allclose(result.bits_per_dim, nats.mean() / 6 / math.log(2), rtol=1e-6)


def test_one_image_has_no_standard_error(model):
    images = Images(1)
    result = evaluate(model, images, 4)
    np.testing.assert_allclose(result.nats, scores(model, images)[0], rtol=1e-6)
    assert math.isnan(result.nats_error) and result.num_images == 1


def test_labels_that_the_model_does_not_have(model):
    images = Images(8, labels=5)
    if not model.context_shape.num_classes:
        evaluate(model, images, 4)
        return
    with pytest.raises(InputError, match=r"labels in \[0, 3\), but all of it has labels from"):
        evaluate(model, images, 4)


@pytest.mark.parametrize("batch_size", [3, 7])
def test_orders_are_averaged_image_by_image(batch_size):
    model = AnyOrderTransformer(
        GRID, features=8, num_layers=1, num_heads=2, first_kernel_size=3, rngs=nnx.Rngs(0)
    )
    graph, weights = nnx.split(model)
    model = nnx.merge(graph, jax.tree.map(lambda x: 5 * x, weights))
    images, seeds = Images(7), (3, 8)
    x = jnp.asarray(images.images, jnp.int32)
    by_order = []
    for seed in seeds:
        keys = [jax.random.fold_in(jax.random.key(seed), n) for n in range(7)]
        orders = [jax.random.permutation(key, 6).reshape(3, 2) for key in keys]
        log_prob = model.log_prob(x, Context(order=jnp.stack(orders)))
        by_order.append(-np.asarray(log_prob, np.float64))
    result = evaluate(model, images, batch_size, order_seeds=seeds)
    np.testing.assert_allclose(result.per_image, np.mean(by_order, axis=0), rtol=1e-6)
    # Of two values, the standard deviation is the difference over the root of two.
    spread = np.abs(by_order[0] - by_order[1]).mean() / math.sqrt(2)
    assert spread > 0.1
    np.testing.assert_allclose(result.order_spread, spread, rtol=1e-4)
    # Without a seed, the order is the model's own, and there is nothing to spread.
    raster = evaluate(model, images, batch_size, order_seeds=())
    np.testing.assert_allclose(raster.per_image, scores(model, images), rtol=1e-6)
    assert math.isnan(raster.order_spread)
    assert (raster.per_image != result.per_image).any()


def test_models_with_one_order_score_each_image_once(model):
    images = Images(5)
    many, one = (evaluate(model, images, 4, order_seeds=seeds) for seeds in (range(3), ()))
    np.testing.assert_array_equal(many.per_image, one.per_image)
    assert math.isnan(many.order_spread)

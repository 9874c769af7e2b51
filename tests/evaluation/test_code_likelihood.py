"""The likelihood of codes, against a prior's own log-probabilities averaged in float64."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior.context import Context
from pixelprior.errors import InputError
from pixelprior.evaluation.code_likelihood import evaluate_codes
from pixelprior.grid import Grid
from pixelprior.models import PixelCNN
from pixelprior.prior import Prior
from pixelprior.system.devices import data_mesh

GRIDS = (Grid(1, 2, 1, 4), Grid(2, 4, 2, 3))  # 2 codes and 16
NUM_CLASSES, NUM_ATTRIBUTES, BATCH = 3, 2, 4


def make(grid, **settings):
    return PixelCNN(
        grid, features=4, num_layers=1, embedding_features=4, head_features=8, **settings
    )


@pytest.fixture(
    scope="module",
    params=[(0, 0), (NUM_CLASSES, 0), (NUM_CLASSES, NUM_ATTRIBUTES)],
    ids=["unconditional", "conditional", "attributes"],
)
def prior(request):
    graph, shapes = nnx.split(
        nnx.eval_shape(
            lambda: Prior(
                GRIDS,
                [make, make],
                num_classes=request.param[0],
                vector_features=request.param[1],
                context_features=4,
                context_num_blocks=1,
                rngs=nnx.Rngs(0),
            )
        )
    )
    # Fresh priors know next to nothing, and score all codes alike.
    rng = np.random.default_rng(0)
    return nnx.merge(
        graph, jax.tree.map(lambda s: jnp.asarray(rng.normal(size=s.shape), s.dtype), shapes)
    )


def images(count):
    """Codes of so many images, and their labels and attributes."""
    rng = np.random.default_rng(1)
    codes = [rng.integers(0, g.levels, (count, *g.shape)).astype(np.int32) for g in GRIDS]
    labels = rng.integers(0, NUM_CLASSES, count).astype(np.int32)
    return codes, labels, rng.normal(size=(count, NUM_ATTRIBUTES)).astype(np.float32)


def batches(codes, labels, attributes):
    """As a code set's, the last one filled up with what must not count."""
    for start in range(0, len(labels), BATCH):
        places = np.arange(start, start + BATCH)
        mask = places < len(labels)
        places = np.where(mask, places, 0)
        yield {
            "codes": [level[places] for level in codes],
            "label": labels[places],
            "attributes": attributes[places],
            "mask": mask,
        }


def scores(prior, codes, labels, attributes):
    """Nats of each level of each image, [l, n]."""
    graph, weights = nnx.split(prior)

    @jax.jit
    def log_probs(weights):
        model = nnx.merge(graph, weights)
        context = Context(
            label=labels if model.num_classes else None,
            vector=attributes if model.vector_features else None,
        )
        return [model.level_log_prob(number, codes, context) for number in range(len(codes))]

    return -np.array([np.asarray(level, np.float64) for level in log_probs(weights)])


def test_every_image_counts_once_on_every_level(prior):
    given = images(10)  # batches of 4, 4 and 2
    nats = scores(prior, *given)
    # An image counted twice, or left out, would be seen; and so would a level in another's place.
    assert nats.std(axis=1).min() > 0.1 and nats[1].mean() > 2 * nats[0].mean()
    result = evaluate_codes(prior, batches(*given), "all of it", mesh=data_mesh())
    assert result.num_images == 10

    def error(values):
        return math.sqrt(((values - values.mean()) ** 2).sum() / 9) / math.sqrt(10)

    # float32 scores of some 10 nats, in batches of another shape.
    for level, values, size in zip(result.levels, nats, (2, 16), strict=True):
        np.testing.assert_allclose(level.nats, values.mean(), rtol=1e-6)
        np.testing.assert_allclose(level.nats_error, error(values), rtol=1e-5)
        np.testing.assert_allclose(
            level.bits_per_code, values.mean() / size / math.log(2), rtol=1e-6
        )
    total = nats.sum(axis=0)
    np.testing.assert_allclose(result.nats, total.mean(), rtol=1e-6)
    # Of the sums, image by image: levels of one image are not independent.
    np.testing.assert_allclose(result.nats_error, error(total), rtol=1e-5)
    assert abs(error(total) - math.hypot(*map(error, nats))) > 1e-3


def test_one_image_has_no_standard_error(prior):
    given = images(1)
    result = evaluate_codes(prior, batches(*given), "all of it", mesh=data_mesh())
    nats = scores(prior, *given)[:, 0]
    np.testing.assert_allclose([level.nats for level in result.levels], nats, rtol=1e-6)
    assert result.num_images == 1
    assert all(math.isnan(x.nats_error) for x in (result, *result.levels))


@pytest.mark.parametrize("label", [-1, NUM_CLASSES])
def test_labels_of_no_class(prior, label):
    codes, labels, attributes = images(6)
    labels[5] = label
    # The null class is none of an image's either.
    given = batches(codes, labels, attributes)
    if not prior.num_classes:
        assert evaluate_codes(prior, given, "all of it", mesh=data_mesh()).num_images == 6
        return
    with pytest.raises(InputError, match=r"labels in \[0, 3\), but all of it has labels from"):
        evaluate_codes(prior, given, "all of it", mesh=data_mesh())

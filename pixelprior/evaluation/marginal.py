"""Likelihood of images under a class-conditional model that is not told their classes.

The probability of an image is then its mean over all K classes, each with the same probability:

    p(x) = sum over c of p(x | c) / K

This sum is exact, so the result is comparable with that of a model without classes. The same terms
give the probability of each class, p(c | x), by Bayes' rule: the model is also a classifier.

Legend: n images, k classes.
"""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float64
from scipy.special import logsumexp

from pixelprior import jitted
from pixelprior.data import Split, Symbols
from pixelprior.evaluation.likelihood import score_batch, score_split, standard_error
from pixelprior.models.base import GridModel
from pixelprior.progress import Check, go_on


class Marginal(NamedTuple):
    """Likelihood of a split without classes.

    Attributes:
        nats: mean negative log-likelihood of an image.
        nats_error: standard error of that mean, over images.
        bits_per_dim: the same mean in bits per symbol.
        accuracy: share of the images whose own class is the most probable one.
        per_image: nats of each image, in the order of the split.
    """

    nats: float
    nats_error: float
    bits_per_dim: float
    accuracy: float
    per_image: Float64[np.ndarray, " n"]


def evaluate_marginal(
    model: GridModel,
    split: Split,
    symbols: Symbols,
    *,
    batch_size: int,
    mesh: Mesh,
    check: Check = go_on,
) -> Marginal:
    """Score every image of a split under every class. Call ``check`` before each batch.

    A model with vectors is given those of each image. An any-order model scores each image in one
    random order, the same for all classes.

    Args:
        model: a class-conditional model.
        split: the images.
        symbols: the conversion from pixels to symbols.
        batch_size: the number of images in a batch.
        mesh: the devices.
        check: called before each batch.
    """
    shape = model.context_shape

    def score(inputs: dict[str, Any], first_image: int) -> list[Array]:
        order = jitted.ImageOrders(0, first_image) if shape.any_order else None
        given = (
            inputs | {"label": jnp.full_like(inputs["label"], number)}
            for number in range(shape.num_classes)
        )
        contexts = map(shape.of_batch, given)
        scores = [score_batch(model, inputs["image"], context, order) for context in contexts]
        return [*scores, inputs["label"]]

    *rows, own = score_split(
        score, split, symbols, batch_size=batch_size, mesh=mesh, check_batch=lambda batch: check()
    )
    by_class = np.stack(rows)
    nats = math.log(shape.num_classes) - logsumexp(by_class, axis=0)
    mean = float(nats.mean())
    return Marginal(
        nats=mean,
        nats_error=standard_error(nats),
        bits_per_dim=mean / (model.grid.size * math.log(2.0)),
        accuracy=float((by_class.argmax(axis=0) == own).mean()),
        per_image=nats,
    )

"""Negative log-likelihood over whole splits.

Legend: n images, b batch, h height, w width, c channels.
"""

import math
from typing import NamedTuple

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float64, Int

from pixelprior import jitted
from pixelprior.context import Context
from pixelprior.data import Split, Symbols, evaluation_batches
from pixelprior.errors import InputError
from pixelprior.models.base import GridModel
from pixelprior.progress import Check, go_on
from pixelprior.system.devices import put_batch, rows_here, to_host


class Likelihood(NamedTuple):
    """Likelihood of a split under a model.

    Attributes:
        nats: mean negative log-likelihood of an image.
        nats_error: standard error of that mean, over images.
        bits_per_dim: the same mean in bits per symbol.
        num_images: number of images.
        per_image: nats of each image, in the order of the split.
    """

    nats: float
    nats_error: float
    bits_per_dim: float
    num_images: int
    per_image: Float64[np.ndarray, " n"]


def standard_error(values: Float64[np.ndarray, " n"]) -> float:
    """Compute the standard error of the mean of values, one for each image.

    It is NaN for a single image.
    """
    return float(values.std(ddof=1) / math.sqrt(values.size)) if values.size > 1 else math.nan


def check_labels(num_classes: int, label: Int[np.ndarray, " b"], what: str) -> None:
    """Raise an InputError if one of these labels is not a class of the model.

    Args:
        num_classes: number of classes; 0 for an unconditional model, which takes any label.
        label: the labels.
        what: description of the images with these labels.
    """
    if num_classes and (label.min() < 0 or label.max() >= num_classes):
        raise InputError(
            f"expected labels in [0, {num_classes}), but {what} has labels from "
            f"{label.min()} to {label.max()}; set config.class_conditional=False for data without "
            "labels"
        )


def evaluate_likelihood(
    model: GridModel,
    split: Split,
    symbols: Symbols,
    *,
    batch_size: int,
    mesh: Mesh,
    check: Check = go_on,
) -> Likelihood:
    """Score every image of a split once. Call ``check`` before each batch.

    A class-conditional model is given each image's class. Means are taken in float64 on the host.

    Raises:
        InputError: if the model is class-conditional and an image has none of its classes.
    """
    classes = model.context_shape.num_classes
    values = []
    rows = rows_here(batch_size, mesh)
    for batch in evaluation_batches(split, symbols, batch_size=batch_size, rows=rows):
        check()
        check_labels(classes, batch["label"], split.description)
        inputs = put_batch(batch, mesh)
        context = Context(label=inputs["label"]) if classes else None
        log_prob, mask = to_host((jitted.log_prob(model, inputs["image"], context), inputs["mask"]))
        values.append(-log_prob[mask].astype(np.float64))
    nats = np.concatenate(values)
    mean = float(nats.mean())
    return Likelihood(
        nats=mean,
        nats_error=standard_error(nats),
        bits_per_dim=mean / (model.grid.size * math.log(2.0)),
        num_images=nats.size,
        per_image=nats,
    )

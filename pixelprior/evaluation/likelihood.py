"""Negative log-likelihood over whole splits.

Legend: n images, k orders, b batch, h height, w width, c channels.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Float64, Int

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
        order_spread: standard deviation of an image's nats over orders of its pixels, averaged over
            images; NaN for a single order.
    """

    nats: float
    nats_error: float
    bits_per_dim: float
    num_images: int
    per_image: Float64[np.ndarray, " n"]
    order_spread: float


def standard_error(values: Float64[np.ndarray, " n"]) -> float:
    """Compute the standard error of the mean of values, one for each image.

    It is NaN for a single image.
    """
    return float(values.std(ddof=1) / math.sqrt(values.size)) if values.size > 1 else math.nan


def mean_spread(by_order: Float64[np.ndarray, "k n"]) -> float:
    """Compute the standard deviation over the first axis, averaged over the second."""
    return float(by_order.std(axis=0, ddof=1).mean()) if len(by_order) > 1 else math.nan


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
    order_seeds: Sequence[int] = (0,),
    check: Check = go_on,
) -> Likelihood:
    """Score every image of a split. Call ``check`` before each batch.

    A conditional model is given each image's class and attributes. Means are taken in float64 on
    the host.

    An any-order model scores each image once for each of the ``order_seeds``. Each time, each image
    has a random order of its own. Without a seed, the order is the model's own. Models with one
    order score each image once.

    Raises:
        InputError: if the model is class-conditional and an image has none of its classes.
    """
    classes = model.context_shape.num_classes
    seeds = order_seeds if model.context_shape.any_order else ()

    def score(inputs: dict[str, Any], first_image: int) -> list[Array]:
        context = model.context_shape.of_batch(inputs)
        orders: list[jitted.ImageOrders | None] = [
            jitted.ImageOrders(seed, first_image) for seed in seeds
        ] or [None]
        return [score_batch(model, inputs["image"], context, order) for order in orders]

    def check_batch(batch: Mapping[str, Any]) -> None:
        check()
        check_labels(classes, batch["label"], split.description)

    by_order = -score_split(
        score, split, symbols, batch_size=batch_size, mesh=mesh, check_batch=check_batch
    )
    nats = by_order.mean(axis=0)
    mean = float(nats.mean())
    return Likelihood(
        nats=mean,
        nats_error=standard_error(nats),
        bits_per_dim=mean / (model.grid.size * math.log(2.0)),
        num_images=nats.size,
        per_image=nats,
        order_spread=mean_spread(by_order),
    )


def score_batch(
    model: GridModel,
    x: Int[Array, "b h w c"],
    context: Context | None,
    order: jitted.ImageOrders | None,
) -> Float[Array, " b"]:
    """Score a batch in random orders of its pixels, or without them in the model's own order."""
    if order is None:
        return jitted.log_prob(model, x, context)
    return jitted.random_order_log_prob(model, x, context, order)


def score_split(
    score: Callable[[dict[str, Any], int], list[Array]],
    split: Split,
    symbols: Symbols,
    *,
    batch_size: int,
    mesh: Mesh,
    check_batch: Callable[[Mapping[str, Any]], None],
) -> Float64[np.ndarray, "k n"]:
    """Score every image of a split in several ways, batch by batch.

    Args:
        score: a function of a batch on the devices and the number of its first image. It returns
            the log-probabilities ``[b]`` of each way. It may return other numbers, too.
        split: the images.
        symbols: the conversion from pixels to symbols.
        batch_size: the number of images in a batch.
        mesh: the devices.
        check_batch: called with each batch on the host before it is scored.
    """
    values = []
    rows = rows_here(batch_size, mesh)
    batches = evaluation_batches(split, symbols, batch_size=batch_size, rows=rows)
    for number, batch in enumerate(batches):
        check_batch(batch)
        inputs = put_batch(batch, mesh)
        found, mask = to_host((score(inputs, number * batch_size), inputs["mask"]))
        values.append(np.stack(found).astype(np.float64)[:, mask])
    return np.concatenate(values, axis=1)

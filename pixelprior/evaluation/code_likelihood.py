"""Likelihood of codes under a prior, level by level.

Legend: b batch, l levels, n images.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float64

from pixelprior import jitted
from pixelprior.evaluation.likelihood import check_labels, mean_spread, standard_error
from pixelprior.prior import Prior
from pixelprior.progress import Check, go_on
from pixelprior.system.devices import put_batch, to_host


class LevelLikelihood(NamedTuple):
    """Likelihood of one level's codes, given those of all coarser levels.

    Attributes:
        nats: mean negative log-likelihood of the level's codes of an image.
        nats_error: standard error of that mean, over images.
        bits_per_code: the same mean in bits per code.
        order_spread: see `Likelihood`.
    """

    nats: float
    nats_error: float
    bits_per_code: float
    order_spread: float


class CodeLikelihood(NamedTuple):
    """Likelihood of the codes of a split under a prior.

    Attributes:
        levels: likelihoods of the levels, the coarsest first.
        nats: mean negative log-likelihood of all codes of an image, all levels together.
        nats_error: standard error of that mean, over images.
        num_images: number of images.
        per_image: nats of each level of each image, in the order of the split.
    """

    levels: list[LevelLikelihood]
    nats: float
    nats_error: float
    num_images: int
    per_image: Float64[np.ndarray, "l n"]


def evaluate_codes(
    prior: Prior,
    batches: Iterable[Mapping[str, Any]],
    what: str,
    *,
    mesh: Mesh,
    order_seeds: Sequence[int] = (0,),
    check: Check = go_on,
) -> CodeLikelihood:
    """Score every image's codes.

    A conditional prior is given each image's class and attributes. Means are taken in float64 on
    the host. With any-order models, each seed scores all codes in random orders, see
    `evaluate_likelihood`.

    Args:
        prior: prior to evaluate.
        batches: "codes", a map for each level, "label", "attributes" if there are any, and "mask",
            which is False for rows that do not count. Each batch has the rows of this process, see
            `rows_here`.
        what: description of the images.
        mesh: the devices.
        order_seeds: seeds of the random orders.
        check: called before each batch.

    Raises:
        InputError: if the prior is class-conditional and an image has none of its classes.
    """
    any_order = any(model.context_shape.any_order for model in prior.levels)
    values, done = [], 0
    for batch in batches:
        check()
        check_labels(prior.num_classes, batch["label"], what)
        inputs = put_batch({**batch, "codes": list(batch["codes"])}, mesh)
        context = prior.context_shape.of_batch(inputs)
        seeds = order_seeds if any_order else ()
        orders: list[Any] = [jitted.ImageOrders(seed, done) for seed in seeds] or [None]
        found = [
            jitted.level_log_probs(prior, inputs["codes"], context, of_images)
            for of_images in orders
        ]
        done += len(inputs["mask"])
        log_probs, mask = to_host((found, inputs["mask"]))
        values.append(-np.array(log_probs, np.float64)[..., mask])
    by_order = np.concatenate(values, axis=-1)
    nats = by_order.mean(axis=0)
    levels = [
        LevelLikelihood(
            float(level.mean()),
            standard_error(level),
            float(level.mean()) / (grid.size * math.log(2.0)),
            mean_spread(by_order[:, number]),
        )
        for number, (level, grid) in enumerate(zip(nats, prior.grids, strict=True))
    ]
    total = nats.sum(axis=0)
    return CodeLikelihood(levels, float(total.mean()), standard_error(total), total.size, nats)

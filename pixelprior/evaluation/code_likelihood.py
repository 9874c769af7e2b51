"""How well a prior predicts codes, level by level.

Legend: b batch, l levels, n images.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float64

from pixelprior import jitted
from pixelprior.evaluation.likelihood import check_labels, standard_error
from pixelprior.prior import Prior
from pixelprior.system.devices import put_batch, to_host


class LevelLikelihood(NamedTuple):
    """How well one level's codes are predicted, given those of all coarser levels.

    Attributes:
        nats: mean negative log-likelihood of the level's codes of an image.
        nats_error: the standard error of that mean, over images.
        bits_per_code: the same mean in bits per code.
    """

    nats: float
    nats_error: float
    bits_per_code: float


class CodeLikelihood(NamedTuple):
    """How well a prior predicts the codes of a split.

    Attributes:
        levels: the coarsest first.
        nats: mean negative log-likelihood of all codes of an image, all levels together.
        nats_error: the standard error of that mean, over images.
        num_images: how many images.
        per_image: the nats of each level of each image, in the order of the split.
    """

    levels: list[LevelLikelihood]
    nats: float
    nats_error: float
    num_images: int
    per_image: Float64[np.ndarray, "l n"]


def evaluate_codes(
    prior: Prior, batches: Iterable[Mapping[str, Any]], what: str, *, mesh: Mesh
) -> CodeLikelihood:
    """Scores every image's codes once.

    A class-conditional prior is told each image's class. Means are taken in float64 on the host.

    Args:
        prior: what is measured.
        batches: "codes", a map for each level, "label", and "mask", False for what is not to count;
            of each batch the rows that go to this process, see `rows_here`.
        what: the description of the images.
        mesh: the devices.

    Raises:
        InputError: if the prior is class-conditional and an image has none of its classes.
    """
    values = []
    for batch in batches:
        check_labels(prior.num_classes, batch["label"], what)
        inputs = put_batch({**batch, "codes": list(batch["codes"])}, mesh)
        label = inputs["label"] if prior.num_classes else None
        found = jitted.level_log_probs(prior, inputs["codes"], label)
        log_probs, mask = to_host((found, inputs["mask"]))
        values.append(-np.stack(log_probs).astype(np.float64)[:, mask])
    nats = np.concatenate(values, axis=1)
    levels = [
        LevelLikelihood(
            float(level.mean()),
            standard_error(level),
            float(level.mean()) / (grid.size * math.log(2.0)),
        )
        for level, grid in zip(nats, prior.grids, strict=True)
    ]
    total = nats.sum(axis=0)
    return CodeLikelihood(levels, float(total.mean()), standard_error(total), total.size, nats)

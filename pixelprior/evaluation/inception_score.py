"""Inception Score, from the classes that a network predicts for images.

Legend: n images, k classes.

Source: Salimans et al., "Improved Techniques for Training GANs" (2016), section 4,
https://arxiv.org/abs/1606.03498.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import log_softmax

from pixelprior.errors import InputError

PARTS = 10


class InceptionScore(NamedTuple):
    """Mean and standard deviation of the score over the parts of the images."""

    mean: float
    deviation: float


def inception_score(logits: Float[np.ndarray, "n k"]) -> InceptionScore:
    """Compute ``exp`` of the mean divergence of an image's classes from those of all images.

    The divergence is in nats, and the score is from 1 to k. As is usual, the images are split into
    10 parts, in their order.

    Raises:
        InputError: if there are fewer than 10 images, or logits are not finite.
    """
    if logits.ndim != 2 or len(logits) < PARTS or not np.isfinite(logits).all():
        raise InputError(
            f"expected finite logits [n, k] of at least {PARTS} images, got shape {logits.shape}"
        )
    log_probs = log_softmax(np.asarray(logits, np.float64), axis=1)
    scores = []
    for number in range(PARTS):
        part = log_probs[number * len(logits) // PARTS : (number + 1) * len(logits) // PARTS]
        probs = np.exp(part)
        log_all = np.log(probs.mean(axis=0))
        scores.append(np.exp((probs * (part - log_all)).sum(axis=1).mean()))
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)))

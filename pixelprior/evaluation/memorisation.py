"""Check samples for copies of training images.

Legend: n samples, t training images, e test images, d features (or pixels).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from pixelprior.evaluation.neighbours import nearest_of


class Memorisation(NamedTuple):
    """Distances of samples to their nearest training images.

    Attributes:
        nearest: number of the nearest training image of each sample ``[n]``.
        distances: distance to it ``[n]``.
        copies: share of samples that are nearer to a training image than 99% of the test images
            are. For samples that are like test images, 0.01.
        nearer: probability that a random sample is nearer to the training images than a random test
            image, with ties counted half. For samples that are like test images, 0.5.
    """

    nearest: Int[np.ndarray, " n"]
    distances: Float[np.ndarray, " n"]
    copies: float
    nearer: float


NEAREST_SHARE = 0.01


def memorisation(
    train: Float[np.ndarray, "t d"],
    test: Float[np.ndarray, "e d"],
    samples: Float[np.ndarray, "n d"],
) -> Memorisation:
    """Compare the distances of samples and of test images to their nearest training images."""
    distances, nearest = nearest_of(train, samples)
    usual, _ = nearest_of(train, test)
    # Mann and Whitney's statistic, by ranks.
    ranks = rankdata(np.concatenate([distances, usual]))[: len(distances)]
    above = ranks.sum() - len(distances) * (len(distances) + 1) / 2
    return Memorisation(
        nearest=nearest,
        distances=distances,
        copies=float((distances < np.quantile(usual, NEAREST_SHARE)).mean()),
        nearer=float(1 - above / (len(distances) * len(usual))),
    )

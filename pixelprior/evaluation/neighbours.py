"""Nearest neighbours among features: precision of samples, and their coverage of the data.

Legend: n real images, m generated ones, d features.

Sources: Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models"
(2019), section 2, https://arxiv.org/abs/1904.06991.
Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models" (2020), section 3,
https://arxiv.org/abs/2002.09797.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from pixelprior.errors import InputError
from pixelprior.evaluation.features import check_comparable

NEAREST = 5
"""By default a ball reaches to its image's fifth nearest neighbour, as in Naeem et al."""

ROWS = 500  # rows of a matrix of distances at once, to limit memory


class Neighbours(NamedTuple):
    """Precision, recall, density and coverage of generated images.

    Each is in [0, 1], except the density, whose expectation for real images is 1.

    Attributes:
        precision: share of generated images in the ball of a real one.
        recall: share of real images in the ball of a generated one.
        density: mean number of real images' balls that contain a generated image, over the number
            of neighbours in a ball.
        coverage: share of real images whose ball contains a generated one.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbours(
    real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d"], *, nearest: int = NEAREST
) -> Neighbours:
    """Compute precision, recall, density and coverage, by Euclidean distance.

    Every image has a ball around it that reaches to its ``nearest``-th neighbour of its own set.

    Raises:
        InputError: if the features are not comparable, or there are too few neighbours.
    """
    check_comparable(real, fake)
    if not 1 <= nearest < min(len(real), len(fake)):
        raise InputError(
            f"expected 1 to {min(len(real), len(fake)) - 1} neighbours, as there are other images, "
            f"got {nearest}"
        )
    # In float64: in float32 the distance of an image to itself may exceed that to another.
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    real_radii, fake_radii = _radii(real, nearest), _radii(fake, nearest)
    inside = np.zeros(len(fake), np.int64)
    recalled, covered = 0, 0
    for row in range(0, len(real), ROWS):
        distances = pairwise_distances(real[row : row + ROWS], fake)
        within = distances < real_radii[row : row + ROWS, None]
        inside += within.sum(axis=0)
        covered += int(within.any(axis=1).sum())
        recalled += int((distances < fake_radii).any(axis=1).sum())
    return Neighbours(
        precision=float((inside > 0).mean()),
        recall=recalled / len(real),
        density=float(inside.mean() / nearest),
        coverage=covered / len(real),
    )


def nearest_of(
    points: Float[np.ndarray, "n d"], queries: Float[np.ndarray, "m d"]
) -> tuple[Float[np.ndarray, " m"], Int[np.ndarray, " m"]]:
    """Find the nearest point of each query; return its distance and its number."""
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(points)
    distances, places = search.kneighbors(queries)
    return distances[:, 0], places[:, 0]


def _radii(vectors: Float64[np.ndarray, "n d"], nearest: int) -> Float64[np.ndarray, " n"]:
    """Compute the distance of each image to its ``nearest``-th neighbour of the same set."""
    # One more neighbour, since each image is its own nearest.
    search = NearestNeighbors(n_neighbors=nearest + 1, algorithm="brute").fit(vectors)
    return search.kneighbors(vectors)[0][:, -1]

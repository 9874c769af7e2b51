"""Quality of samples in a network's features: all figures that compare two sets of images.

Legend: n images, d features.
"""

from typing import NamedTuple

from pixelprior.evaluation.features import Features
from pixelprior.evaluation.frechet import frechet_distance
from pixelprior.evaluation.inception_score import inception_score
from pixelprior.evaluation.kernel_distance import kernel_distance
from pixelprior.evaluation.neighbours import neighbours


class Quality(NamedTuple):
    """Figures of images against reference images, in the features of one network.

    Attributes:
        frechet_distance: see `pixelprior.evaluation.frechet`; lower is better.
        kernel_distance: see `pixelprior.evaluation.kernel_distance`; lower is better.
        inception_score: score of the images alone; higher is better.
        precision: see `pixelprior.evaluation.neighbours`, as for the next three; higher is better.
        recall: higher is better.
        density: higher is better, up to 1 or a little more.
        coverage: higher is better.
    """

    frechet_distance: float
    kernel_distance: float
    inception_score: float
    precision: float
    recall: float
    density: float
    coverage: float


def sample_quality(reference: Features, images: Features) -> Quality:
    """Compute all figures of images against reference images.

    Raises:
        InputError: if the features are not comparable, or there are too few.
    """
    real, fake = reference.vectors, images.vectors
    return Quality(
        frechet_distance(real, fake),
        kernel_distance(real, fake),
        inception_score(images.logits).mean,
        *neighbours(real, fake),
    )


def rank_note(reference: Features, images: Features) -> str | None:
    """Return a message if a Fréchet distance cannot be trusted at all; None if it can."""
    (n, d), m = reference.vectors.shape, len(images.vectors)
    if min(n, m) > d:
        return None
    return (
        f"the Fréchet distance is between covariances of {d}x{d} of which the images give a rank "
        f"of at most {min(n, m) - 1}, so it says little; use more than {d} images"
    )

"""The Fréchet distance of two sets of features: "FID", where those are Inception's.

Legend: n images, d features.

Source: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
Equilibrium" (2017), section 4, https://arxiv.org/abs/1706.08500.
"""

import numpy as np
from jaxtyping import Float, Float64

from pixelprior.evaluation.features import check_comparable


def frechet_distance(real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d"]) -> float:
    """The squared 2-Wasserstein distance of the Gaussians fitted to two sets of features.

    ``|mean - mean'|^2 + tr(S + S' - 2 (S S')^(1/2))``, in float64. It is biased upwards, the more
    so the fewer images there are, and most of all with fewer images than features: compare only
    figures of equally many images.

    Raises:
        InputError: if the features are not comparable, see `check_comparable`.
    """
    check_comparable(real, fake)
    mean, covariance = _moments(real)
    other_mean, other_covariance = _moments(fake)
    # The eigenvalues of S S' are those of the symmetric R S' R, R being the root of S. Those of
    # the product itself would come out complex, by rounding.
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    between = np.sqrt(np.linalg.eigvalsh(root @ other_covariance @ root).clip(min=0)).sum()
    apart = np.square(mean - other_mean).sum()
    return float(apart + np.trace(covariance) + np.trace(other_covariance) - 2 * between)


def _moments(
    vectors: Float[np.ndarray, "n d"],
) -> tuple[Float64[np.ndarray, " d"], Float64[np.ndarray, "d d"]]:
    vectors = np.asarray(vectors, np.float64)
    return vectors.mean(axis=0), np.cov(vectors, rowvar=False).reshape(2 * vectors.shape[1:])

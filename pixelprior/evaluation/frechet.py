"""Fréchet distance of two sets of features: "FID", if they are Inception's.

Legend: n images, d features.

Source: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
Equilibrium" (2017), section 4, https://arxiv.org/abs/1706.08500.
"""

import numpy as np
from jaxtyping import Float, Float64

from pixelprior.evaluation.features import check_comparable


def frechet_distance(real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d"]) -> float:
    """Compute the squared 2-Wasserstein distance of Gaussians fitted to two sets of features.

    It is ``|mean - mean'|^2 + tr(S + S' - 2 (S S')^(1/2))``, in float64. It is biased upwards, and
    more so with fewer images. The bias is largest with fewer images than features. Compare only
    figures of the same number of images.

    Raises:
        InputError: if the features are not comparable, see `check_comparable`.
    """
    check_comparable(real, fake)
    mean, covariance = _moments(real)
    other_mean, other_covariance = _moments(fake)
    # The eigenvalues of S S' are those of the symmetric R S' R, where R is the root of S.
    # Computed from S S' itself, rounding would make them complex.
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

"""Kernel distance of two sets of features: "KID", if they are Inception's.

Legend: n images, d features.

Source: Bińkowski et al., "Demystifying MMD GANs" (2018), section 4,
https://arxiv.org/abs/1801.01401.
"""

import numpy as np
from jaxtyping import Float
from sklearn.metrics.pairwise import polynomial_kernel

from pixelprior.evaluation.features import check_comparable

ROWS = 1000  # rows of a kernel matrix at once, to limit memory


def kernel_distance(real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d"]) -> float:
    """Compute the squared maximum mean discrepancy under ``(x.y / d + 1)^3``, without bias.

    Without bias, it may be below 0 for similar sets. All pairs of images count, without random
    subsets. The mean over random subsets has the same expectation.

    Raises:
        InputError: if the features are not comparable, see `check_comparable`.
    """
    check_comparable(real, fake)
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    n, m = len(real), len(fake)
    within = _total(real, real, with_itself=False) / (n * (n - 1))
    within += _total(fake, fake, with_itself=False) / (m * (m - 1))
    return float(within - 2 * _total(real, fake, with_itself=True) / (n * m))


def _total(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"], *, with_itself: bool) -> float:
    """Add up the kernel over all pairs, or over all pairs of two different images."""
    total = sum(
        polynomial_kernel(a[row : row + ROWS], b, degree=3, coef0=1).sum()
        for row in range(0, len(a), ROWS)
    )
    if not with_itself:
        total -= ((np.square(a).sum(axis=1) / a.shape[1] + 1) ** 3).sum()
    return float(total)

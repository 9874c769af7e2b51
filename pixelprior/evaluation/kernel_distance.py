"""The kernel distance of two sets of features: "KID", where those are Inception's.

Legend: n images, d features.

Source: Bińkowski et al., "Demystifying MMD GANs" (2018), section 4,
https://arxiv.org/abs/1801.01401.
"""

import numpy as np
from jaxtyping import Float
from sklearn.metrics.pairwise import polynomial_kernel

from pixelprior.evaluation.features import check_comparable

ROWS = 1000  # of a kernel matrix at once, for the memory it takes


def kernel_distance(real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d"]) -> float:
    """The squared maximum mean discrepancy under the kernel ``(x.y / d + 1)^3``, without bias.

    So it may come out below 0 for sets that are alike. All pairs of images count: there are no
    random subsets, whose mean has the same expectation.

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
    """The sum of the kernel over all pairs, or all of an image and another one."""
    total = sum(
        polynomial_kernel(a[row : row + ROWS], b, degree=3, coef0=1).sum()
        for row in range(0, len(a), ROWS)
    )
    if not with_itself:
        total -= ((np.square(a).sum(axis=1) / a.shape[1] + 1) ** 3).sum()
    return float(total)

"""scikit-learn's handwritten digits: small, real, and installed with the package."""

import numpy as np

from pixelprior.data.dataset import Dataset
from pixelprior.data.errors import DataError
from pixelprior.data.sources.arrays import open_arrays

SHAPE = (8, 8, 1)
LEVELS = 17  # each pixel counts the stroke pixels of a 4x4 block: 0 to 16


def open_digits(image_size: tuple[int, int], validation_fraction: float) -> Dataset:
    """Open the 1,797 images of ``sklearn.datasets.load_digits``, 8 x 8 pixels with 17 values each.

    Raises:
        DataError: if ``image_size`` is neither (0, 0) nor (8, 8).
    """
    if image_size not in ((0, 0), SHAPE[:2]):
        raise DataError(
            f"digits has 17 levels and cannot be resized: expected image_size (0, 0) or (8, 8), "
            f"got {image_size}"
        )
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return open_arrays(
        bunch.images.astype(np.uint8)[..., np.newaxis],
        bunch.target,
        native_levels=LEVELS,
        validation_fraction=validation_fraction,
        class_names=tuple(str(name) for name in bunch.target_names),
        name="digits",
        note="scikit-learn defines no test split; this one, a fixed 20%, is this library's own",
    )

"""scikit-learn's handwritten digits: small, real, and installed with the package."""

import numpy as np
from jaxtyping import Int, UInt8

from pixelprior.data.dataset import Dataset, make_splits
from pixelprior.data.errors import DataError
from pixelprior.data.source import Example
from pixelprior.data.splits import permuted_splits

SHAPE = (8, 8, 1)
LEVELS = 17  # each pixel counts the dark ones of a 4x4 block: 0 to 16
TEST_FRACTION = 0.2


class _Arrays:
    """Images that are in memory to begin with."""

    def __init__(self, images: UInt8[np.ndarray, "n h w c"], labels: Int[np.ndarray, " n"]):
        self._images = images
        self._labels = labels

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Example:
        return {"image": self._images[index], "label": int(self._labels[index])}


def open_digits(image_size: tuple[int, int], validation_fraction: float) -> Dataset:
    """The 1,797 images of ``sklearn.datasets.load_digits``, 8 x 8 pixels of 17 levels.

    Raises:
        DataError: if another size than 8 x 8 is asked for.
    """
    if image_size not in ((0, 0), SHAPE[:2]):
        raise DataError(
            f"digits has 17 levels and cannot be resized: expected image_size (0, 0) or (8, 8), "
            f"got {image_size}"
        )
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = bunch.images.astype(np.uint8)[..., np.newaxis]
    labels = bunch.target
    chosen = permuted_splits(
        len(images), test_fraction=TEST_FRACTION, validation_fraction=validation_fraction
    )
    sources = {
        name: (_Arrays(images[indices], labels[indices]), description)
        for name, (indices, description) in chosen.items()
    }
    return Dataset(
        name="digits",
        splits=make_splits(sources, SHAPE, LEVELS),
        class_names=tuple(str(name) for name in bunch.target_names),
        note="scikit-learn defines no test split; this one, a fixed 20%, is this library's own",
    )

"""Features of images, and conditions for comparing two sets of them.

Every figure from features names their network, by name and fingerprint. Figures of different
networks are not comparable.

Legend: n images, h height, w width, c channels, d features, k classes.
"""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from pixelprior.errors import InputError

Images = UInt8[np.ndarray, "n h w c"]


class Features(NamedTuple):
    """Features and class logits of images.

    Attributes:
        vectors: feature vectors, for distances.
        logits: logits of the network's classes.
    """

    vectors: Float[np.ndarray, "n d"]
    logits: Float[np.ndarray, "n k"]

    def of(self, places: Int[np.ndarray, " m"]) -> "Features":
        """Select the features of some images."""
        return Features(self.vectors[places], self.logits[places])

    @property
    def fingerprint(self) -> str:
        """Hash of the vectors in their order. It identifies the reference of a result."""
        about = f"{self.vectors.dtype}{self.vectors.shape}".encode()
        return hashlib.sha256(about + np.ascontiguousarray(self.vectors).tobytes()).hexdigest()


@dataclasses.dataclass(frozen=True)
class Extractor:
    """Network whose features are compared.

    Attributes:
        name: "classifier" or "inception".
        description: description of the network, printed beside every result.
        fingerprint: hash of its weights.
        extract: function from images to their features.
    """

    name: str
    description: str
    fingerprint: str
    extract: Callable[[Images], Features]


def check_comparable(real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d"]) -> None:
    """Raise an InputError unless these are finite features of one network, of 2 images or more."""
    for name, vectors in (("real", real), ("generated", fake)):
        if vectors.ndim != 2 or len(vectors) < 2:
            raise InputError(
                f"expected features [n, d] of at least 2 {name} images, got shape {vectors.shape}"
            )
        if not np.isfinite(vectors).all():
            bad = int((~np.isfinite(vectors).all(axis=1)).sum())
            raise InputError(
                f"the features of {bad} {name} images are not finite; look at those images"
            )
    if real.shape[1] != fake.shape[1]:
        raise InputError(
            f"expected features of one network, got {real.shape[1]} of each real image and "
            f"{fake.shape[1]} of each generated one"
        )

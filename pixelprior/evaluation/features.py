"""Features of images, and what makes two sets of them comparable.

Every figure that is computed from features names the network that they come from, by name and
fingerprint: figures of two networks have nothing to do with each other.

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
    """What a network makes of images.

    Attributes:
        vectors: what distances are measured between.
        logits: of its classes.
    """

    vectors: Float[np.ndarray, "n d"]
    logits: Float[np.ndarray, "n k"]

    def of(self, places: Int[np.ndarray, " m"]) -> "Features":
        """Those of some of the images."""
        return Features(self.vectors[places], self.logits[places])

    @property
    def fingerprint(self) -> str:
        """Of the vectors, in their order: what results that name a reference are tied to."""
        about = f"{self.vectors.dtype}{self.vectors.shape}".encode()
        return hashlib.sha256(about + np.ascontiguousarray(self.vectors).tobytes()).hexdigest()


@dataclasses.dataclass(frozen=True)
class Extractor:
    """A network whose features are compared.

    Attributes:
        name: "classifier" or "inception".
        description: what it is, in words to print beside every result.
        fingerprint: of its weights.
        extract: from images to their features.
    """

    name: str
    description: str
    fingerprint: str
    extract: Callable[[Images], Features]


def check_comparable(real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d"]) -> None:
    """Raises an InputError unless these are finite features of one network, of 2 images or more."""
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

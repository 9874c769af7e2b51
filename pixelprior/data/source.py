"""Interface of image sources: a `Source` gives random access to decoded images."""

from typing import Protocol, TypedDict

import numpy as np
from jaxtyping import UInt8


class Example(TypedDict):
    """One image and its class.

    Attributes:
        image: the pixels, uint8 ``[h, w, c]``.
        label: the index of the class; 0 if the data has no classes.
    """

    image: UInt8[np.ndarray, "h w c"]
    label: int


class Source(Protocol):
    """Random access to images. ``source[i]`` may be slow, and many threads may call it."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example: ...

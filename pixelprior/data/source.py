"""Interface of image sources: a `Source` gives random access to decoded images."""

from typing import NotRequired, Protocol, TypedDict

import numpy as np
from jaxtyping import Float32, UInt8


class Example(TypedDict):
    """One image, with its class and attributes.

    Attributes:
        image: the pixels, uint8 ``[h, w, c]``.
        label: the index of the class; 0 if the data has no classes.
        attributes: real numbers; missing unless the data set was opened with its attributes.
    """

    image: UInt8[np.ndarray, "h w c"]
    label: int
    attributes: NotRequired[Float32[np.ndarray, " k"]]


class Source(Protocol):
    """Random access to images. ``source[i]`` may be slow, and many threads may call it."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example: ...

"""What opening a data set gives: a `Dataset` of three `Split`s."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from pixelprior.data.decode_once import DecodeOnce
from pixelprior.data.errors import DataError
from pixelprior.data.source import Source

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Split:
    """One part of a data set.

    Attributes:
        name: "train", "validation" or "test".
        source: its images and labels.
        native_levels: how many values a pixel of it can take: pixels are in ``[0, native_levels)``.
        description: which images these are, printed beside every result, like "train[54000:]".
    """

    name: str
    source: DecodeOnce
    native_levels: int
    description: str

    def __len__(self) -> int:
        return len(self.source)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set as opened: images of one shape in three splits.

    Attributes:
        name: the name it was opened by.
        splits: "train", "validation" and "test"; none of them empty, no image in two of them.
        class_names: the name of each label, in order; empty if there are no labels.
        note: what a reader of results must know about the data; often empty.
    """

    name: str
    splits: Mapping[str, Split]
    class_names: tuple[str, ...] = ()
    note: str = ""

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(height, width, channels)`` of every image."""
        return self.splits["train"].source.shape

    @property
    def height(self) -> int:
        """Height of every image, in pixels."""
        return self.shape[0]

    @property
    def width(self) -> int:
        """Width of every image, in pixels."""
        return self.shape[1]

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for red, green and blue."""
        return self.shape[2]

    @property
    def native_levels(self) -> int:
        """How many values a pixel can take as stored: pixels are in ``[0, native_levels)``."""
        return self.splits["train"].native_levels


def make_splits(
    sources: Mapping[str, tuple[Source, str]], shape: tuple[int, int, int], native_levels: int
) -> Mapping[str, Split]:
    """The splits of a data set, from each one's source and description.

    Raises:
        DataError: if a split is empty.
    """
    splits = {}
    for name in SPLITS:
        source, description = sources[name]
        if not len(source):
            raise DataError(f"the {name} split ({description}) is empty: the data set is too small")
        splits[name] = Split(name, DecodeOnce(source, shape), native_levels, description)
    return MappingProxyType(splits)

"""Opened data sets: a `Dataset` has three `Split`s."""

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
        source: the images and labels.
        native_levels: the number of values of a pixel; pixels are in ``[0, native_levels)``.
        description: the images of the split, like "train[54000:]"; printed with every result.
    """

    name: str
    source: DecodeOnce
    native_levels: int
    description: str

    def __len__(self) -> int:
        return len(self.source)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """An opened data set: images of one shape in three splits.

    Attributes:
        name: the name that it was opened with.
        splits: "train", "validation" and "test". None is empty, and no image is in two of them.
        class_names: the name of each label, in order; empty if there are no labels.
        note: a remark about the data that readers of results need; often empty.
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
        """Number of values of a stored pixel; pixels are in ``[0, native_levels)``."""
        return self.splits["train"].native_levels

    def split(self, name: str) -> Split:
        """Return the split of this name.

        Raises:
            DataError: if there is no such split.
        """
        if not isinstance(name, str) or name not in self.splits:
            raise DataError(
                f"split must be one of {', '.join(self.splits)} of {self.name}, got {name!r}"
            )
        return self.splits[name]


def make_splits(
    sources: Mapping[str, tuple[Source, str]], shape: tuple[int, int, int], native_levels: int
) -> Mapping[str, Split]:
    """Make the splits of a data set from the source and description of each.

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

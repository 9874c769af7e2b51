"""Opened data sets: a `Dataset` has three `Split`s."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from pixelprior.data.decode_once import DecodeOnce
from pixelprior.data.errors import DataError
from pixelprior.data.manifest import Changes, Manifest
from pixelprior.data.source import Example, Source

SPLITS = ("train", "validation", "test")

READING = 2
"""Version of the rules by which files become images: the suffixes, links, rotation, transparency,
range of values, and splits. Version 0.1.0 had the first."""


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

    def first(self, count: int) -> "Split":
        """Return a split of the first ``count`` images, or of all if there are fewer."""
        if count >= len(self):
            return self
        source = DecodeOnce(
            _First(self.source, count),
            self.source.shape,
            num_attributes=self.source.num_attributes,
        )
        description = f"the first {count:,} of {self.description}"
        return dataclasses.replace(self, source=source, description=description)


@dataclasses.dataclass(frozen=True)
class _First:
    """The first images of a source."""

    source: Source
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Example:
        return self.source[range(self.count)[index]]


@dataclasses.dataclass(frozen=True)
class Dataset:
    """An opened data set: images of one shape in three splits.

    Attributes:
        name: the name that it was opened with.
        splits: "train", "validation" and "test". No image is in two of them. A split is empty only
            if all its files are among the `changes`.
        class_names: the name of each label, in order; empty if there are no labels.
        note: a remark about the data that readers of results need; often empty.
        contents: identifies the images, wherever they are: a hash, or a name with a version; empty
            if it is not known.
        manifest: the files of the data set; None if it does not consist of image files.
        changes: for each split that has changed since the manifest was made, the missing and
            changed files. They are not among the images.
        reading: the version of the rules by which files become images; 1 if there are no files.
        attribute_names: the name of each attribute; empty if opened without attributes.
        attribute_contents: identifies the attributes; empty without them.
    """

    name: str
    splits: Mapping[str, Split]
    class_names: tuple[str, ...] = ()
    note: str = ""
    contents: str = ""
    manifest: Manifest | None = None
    changes: Mapping[str, Changes] = dataclasses.field(default_factory=dict)
    reading: int = 1
    attribute_names: tuple[str, ...] = ()
    attribute_contents: str = ""

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
            DataError: if there is no such split, or all its files are missing or changed.
        """
        if not isinstance(name, str) or name not in self.splits:
            raise DataError(
                f"split must be one of {', '.join(self.splits)} of {self.name}, got {name!r}"
            )
        if not len(self.splits[name]):
            self.check_unchanged(name)
        return self.splits[name]

    def check_unchanged(self, *splits: str) -> None:
        """Check that the files of some splits are those of the run that made the manifest.

        Raises:
            DataError: if files are missing or changed.
        """
        found = [
            f"{changes.words()} in the {split} split"
            for split, changes in self.changes.items()
            if split in splits
        ]
        if found:
            raise DataError(
                f"{self.name} no longer has the images of the run: {', '.join(found)}; restore "
                "them, or give a copy of the data with --data=..."
            )


def make_splits(
    sources: Mapping[str, tuple[Source, str]],
    shape: tuple[int, int, int],
    native_levels: int,
    *,
    num_attributes: int = 0,
    may_be_empty: bool = False,
) -> Mapping[str, Split]:
    """Make the splits of a data set from the source and description of each.

    Raises:
        DataError: if a split is empty and must not be.
    """
    splits = {}
    for name in SPLITS:
        source, description = sources[name]
        if not len(source) and not may_be_empty:
            raise DataError(f"the {name} split ({description}) is empty: the data set is too small")
        decoded = DecodeOnce(source, shape, num_attributes=num_attributes)
        splits[name] = Split(name, decoded, native_levels, description)
    return MappingProxyType(splits)

"""Images to compress: files, folders, ``.npz`` files, and splits of the data of a run.

Legend: n images, h height, w width, c channels.
"""

import abc
import collections
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from pixelprior.context import Context
from pixelprior.data.attributes import Attributes
from pixelprior.data.image_files.attributes import FILE, read_attributes
from pixelprior.data.image_files.classes import class_name
from pixelprior.data.image_files.listing import ImageFile, list_images
from pixelprior.data.pictures.pixel_range import Stored, check_bright
from pixelprior.data.sources.npz import read_npz, read_npz_attributes
from pixelprior.data.words import listed
from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.progress import Message, Report
from pixelprior.runs.compression.exact import read_exactly, to_symbols, with_channels
from pixelprior.runs.compression.names import portable_names
from pixelprior.runs.conditions import Conditions
from pixelprior.runs.images import labels_by_folder
from pixelprior.runs.run import Run

Symbols = Int[np.ndarray, "n h w c"]
Numbers = Int[np.ndarray, " n"]


class Given(NamedTuple):
    """Conditions that the user gives for all images.

    Attributes:
        label: the class; None for the class of each image.
        attributes: attributes by name. The others are those of each image.
    """

    label: int | None = None
    attributes: Mapping[str, float] = {}


class Source(abc.ABC):
    """Numbered images that a run can compress.

    Attributes:
        names: the names of the images; None if they are numbered.
    """

    names: Sequence[str] | None = None

    @abc.abstractmethod
    def __len__(self) -> int:
        """Number of images."""

    @abc.abstractmethod
    def read(self, numbers: range) -> tuple[Symbols, Context | None]:
        """Read images by number, as symbols, and their conditions.

        Raises:
            InputError: if an image does not fit the model.
        """


def open_source(
    run: Run,
    places: Sequence[str],
    *,
    split: str | None,
    limit: int | None,
    given: Given,
    quantise: bool,
    report: Report,
) -> Source:
    """Open images of the user, or a split of the data of a run.

    Args:
        run: the run.
        places: image files, folders of image files, or one ``.npz`` file.
        split: the name of a split, instead of places.
        limit: the number of images, from the first; None for all.
        given: conditions of all images.
        quantise: round pixels to the shades of the model.
        report: receives remarks about the images.

    Raises:
        InputError: if there are no such images.
    """
    if split is not None and places:
        raise InputError(f"give images or --split, not both; got {places[0]} and --split={split}")
    if split is not None:
        return _OfSplit(run, split, limit, given, report)
    if not places:
        raise InputError("give image files, folders or an .npz file to compress, or --split=test")
    if any(place.lower().endswith(".npz") for place in places):
        if len(places) > 1:
            raise InputError(f"give one .npz file, or image files; got {', '.join(places):.200}")
        return _OfArrays(run, places[0], limit, given, quantise, report)
    return _OfFiles(run, places, limit, given, quantise, report)


class _OfSplit(Source):
    def __init__(self, run: Run, split: str, limit: int | None, given: Given, report: Report):
        dataset, self._symbols = run.open_data(report)
        self._run, self._given, self._split = run, given, dataset.split(split)
        dataset.check_unchanged(split)
        self._num = _limited(len(self._split), limit)
        self._conditions(np.zeros(1, int))  # raises if a given condition does not fit

    def __len__(self) -> int:
        return self._num

    def read(self, numbers: range) -> tuple[Symbols, Context | None]:
        pixels, labels = self._split.source.read(list(numbers))
        symbols = self._symbols.to_symbols(
            pixels, self._split.native_levels, split=self._split.name, indices=numbers
        )
        if self._given.label is None:
            _check_classes(self._run, labels, f"the {self._split.name} split")
        return symbols, self._conditions(labels)(np.asarray(numbers))

    def _conditions(self, labels: Numbers) -> Conditions:
        """Conditions of images with these labels, which were read with the images."""
        return Conditions(
            self._run,
            self._given.label,
            self._given.attributes,
            labels=lambda numbers: labels,
            vectors=self._split.source.attributes,
        )


class _OfArrays(Source):
    def __init__(
        self,
        run: Run,
        place: str,
        limit: int | None,
        given: Given,
        quantise: bool,
        report: Report,
    ):
        if not Path(place).is_file():
            raise InputError(f"there is no .npz file {place}")
        pixels, labels = read_npz(Path(place))
        attributes = None
        if len(given.attributes) < run.model.context_shape.vector_features:
            attributes = read_npz_attributes(Path(place), len(pixels))
        num = _limited(len(pixels), limit)
        bits = 8 * pixels.itemsize
        stored = {str(n): Stored(bits, int(image.max())) for n, image in enumerate(pixels[:num])}
        check_bright(stored, place, report)
        self._name, self._grid, self._quantise = place, _grid_of_images(run), quantise
        self._pixels = with_channels(pixels[:num], self._grid, place)

        def classes() -> Sequence[int]:
            if given.label is None and labels is not None:
                _check_classes(run, labels[:num], place)
                return labels.tolist()
            return labels_by_folder(run, place, [""] * num, given.label, report)

        self._conditions = _of_own_images(run, place, given, classes, attributes, report)

    def __len__(self) -> int:
        return len(self._pixels)

    def read(self, numbers: range) -> tuple[Symbols, Context | None]:
        part = slice(numbers.start, numbers.stop)
        symbols = to_symbols(self._pixels[part], self._grid, self._name, quantise=self._quantise)
        return symbols, self._conditions(np.asarray(numbers))


class _OfFiles(Source):
    def __init__(
        self,
        run: Run,
        places: Sequence[str],
        limit: int | None,
        given: Given,
        quantise: bool,
        report: Report,
    ):
        files = [file for place in places for file in _listed(place)]
        self._files = files[: _limited(len(files), limit)]
        names = [file.name for file in self._files]
        twice = [name for name, count in collections.Counter(names).items() if count > 1]
        if twice:
            raise InputError(
                f"two images have the name {twice[0]}; give one folder that holds both"
            )
        self.names = portable_names(names)
        self._grid, self._quantise = _grid_of_images(run), quantise

        def classes() -> Sequence[int]:
            depth = (run.tokenizer_config or run.config)["class_depth"]
            found = [class_name(name, depth) if depth else "" for name in names]
            return labels_by_folder(run, places[0], found, given.label, report)

        attributes = None
        if len(given.attributes) < run.model.context_shape.vector_features:
            attributes = _of_folder(places, names)
        self._conditions = _of_own_images(run, places[0], given, classes, attributes, report)

    def __len__(self) -> int:
        return len(self._files)

    def read(self, numbers: range) -> tuple[Symbols, Context | None]:
        found = []
        for number in numbers:
            path = self._files[number].path
            pixels = read_exactly(path, self._grid)
            found.append(to_symbols(pixels, self._grid, path, quantise=self._quantise))
        return np.concatenate(found), self._conditions(np.asarray(numbers))


def _of_folder(places: Sequence[str], names: Sequence[str]) -> Attributes | None:
    """Read the attributes of image files that are in one folder with a file of attributes."""
    if len(places) > 1 or not (Path(places[0]) / FILE).is_file():
        return None
    return read_attributes(Path(places[0]), names, None)


def _of_own_images(
    run: Run,
    place: str,
    given: Given,
    classes: Callable[[], Sequence[int]],
    attributes: Attributes | None,
    report: Report,
) -> Callable[[Numbers], Context | None]:
    """Return the conditions of images of the user, by number.

    Args:
        run: the run.
        place: the place of the images, for messages.
        given: conditions of all images.
        classes: finds the class of each image, if the model has classes.
        attributes: the attributes of the images; None if they are not known.
        report: receives a remark if the images have no attributes.

    Raises:
        InputError: if a condition is needed and not known.
    """
    shape = run.model.context_shape
    labels = np.asarray(classes()) if shape.num_classes else None
    vectors = None
    if shape.vector_features:
        has_class = labels is not None and bool((labels < shape.num_classes).all())
        has_vector = attributes is not None or len(given.attributes) == shape.vector_features
        if shape.null_class and not (has_class or has_vector or given.attributes):
            report(
                Message(f"{place}: the images have no attributes; the model treats them without")
            )
            return lambda numbers: None
        if not has_vector:
            raise InputError(
                f"the model needs the attributes of the images in {place}; give all of them with "
                "--attributes=..."
            )
        if labels is not None and not has_class:
            raise InputError(
                f"the model needs the class of the images in {place} beside their attributes; give "
                "--label=..."
            )
        vectors = _columns(run, given, attributes, place)
    return Conditions(
        run,
        given.label,
        given.attributes,
        labels=None if labels is None else lambda numbers: labels[numbers],
        vectors=None if vectors is None else lambda numbers: vectors[numbers],
    )


def _check_classes(run: Run, labels: Numbers, place: str) -> None:
    """Raise an InputError if images of a class-conditional run have none of its classes."""
    most = run.num_classes
    if most and (labels.min() < 0 or labels.max() >= most):
        raise InputError(
            f"expected classes in [0, {most}) in {place}, got {labels.min()} to {labels.max()}; "
            "give one for all images with --label=..."
        )


def _columns(
    run: Run, given: Given, attributes: Attributes | None, place: str
) -> Float[np.ndarray, "n k"] | None:
    """Attributes in the order of those of a run; columns that are given hold zeros."""
    if attributes is None:
        return None
    names = list(run.data["attribute_names"])
    missing = [name for name in names if name not in {*attributes.names, *given.attributes}]
    if missing:
        raise InputError(
            f"the attributes in {place} are {listed(attributes.names)}, and the model needs "
            f"{listed(missing)} too; add them to the file, or give them with --attributes=..."
        )
    known = dict(zip(attributes.names, attributes.values.T, strict=True))
    unknown = np.zeros(len(attributes.values), np.float32)
    return np.stack([known.get(name, unknown) for name in names], axis=1)


def _grid_of_images(run: Run) -> Grid:
    """Grid of the images of a run; for a prior, of those that its tokenizer takes."""
    grid: Grid = run.model.grid if run.tokenizer is None else run.tokenizer.grid
    return grid


def _listed(place: str) -> Sequence[ImageFile]:
    path = Path(place)
    if path.is_file():
        return [ImageFile(path.name, str(path))]
    if not path.is_dir():
        raise InputError(f"there is no image file or folder {place}")
    listing = list_images(path)
    listing.check_found(path)
    return listing.files


def _limited(num: int, limit: int | None) -> int:
    if limit is not None and limit < 1:
        raise InputError(f"limit must be at least 1, got {limit}")
    return num if limit is None else min(num, limit)

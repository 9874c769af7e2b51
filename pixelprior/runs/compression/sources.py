"""Images to compress: files, folders, ``.npz`` files, and splits of the data of a run.

Legend: n images, h height, w width, c channels.
"""

import abc
import collections
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from pixelprior.data.image_files.classes import class_name
from pixelprior.data.image_files.listing import ImageFile, list_images
from pixelprior.data.pictures.pixel_range import Stored, check_bright
from pixelprior.data.sources.npz import read_npz
from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.progress import Report
from pixelprior.runs.compression.exact import read_exactly, to_symbols, with_channels
from pixelprior.runs.compression.names import portable_names
from pixelprior.runs.images import labels_by_folder
from pixelprior.runs.run import Run

Symbols = Int[np.ndarray, "n h w c"]
Labels = Int[np.ndarray, " n"]


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
    def read(self, numbers: range) -> tuple[Symbols, Labels | None]:
        """Read images by number, as symbols, and their classes.

        There are no classes if the run is unconditional.

        Raises:
            InputError: if an image does not fit the model.
        """


def open_source(
    run: Run,
    places: Sequence[str],
    *,
    split: str | None,
    limit: int | None,
    label: int | None,
    quantise: bool,
    report: Report,
) -> Source:
    """Open images of the user, or a split of the data of a run.

    Args:
        run: the run.
        places: image files, folders of image files, or one ``.npz`` file.
        split: the name of a split, instead of places.
        limit: the number of images, from the first; None for all.
        label: the class of all images; None for their own.
        quantise: round pixels to the shades of the model.
        report: receives remarks about the images.

    Raises:
        InputError: if there are no such images.
    """
    if split is not None and places:
        raise InputError(f"give images or --split, not both; got {places[0]} and --split={split}")
    if split is not None:
        return _OfSplit(run, split, limit, label, report)
    if not places:
        raise InputError("give image files, folders or an .npz file to compress, or --split=test")
    if any(place.lower().endswith(".npz") for place in places):
        if len(places) > 1:
            raise InputError(f"give one .npz file, or image files; got {', '.join(places):.200}")
        return _OfArrays(run, places[0], limit, label, quantise, report)
    return _OfFiles(run, places, limit, label, quantise, report)


class _OfSplit(Source):
    def __init__(self, run: Run, split: str, limit: int | None, label: int | None, report: Report):
        dataset, self._symbols = run.open_data(report)
        self._split = dataset.split(split)
        dataset.check_unchanged(split)
        self._num, self._label = _limited(len(self._split), limit), label
        self._has_classes = bool(run.num_classes)

    def __len__(self) -> int:
        return self._num

    def read(self, numbers: range) -> tuple[Symbols, Labels | None]:
        pixels, labels = self._split.source.read(list(numbers))
        symbols = self._symbols.to_symbols(
            pixels, self._split.native_levels, split=self._split.name, indices=numbers
        )
        if self._label is not None:
            labels = np.full(len(numbers), self._label)
        return symbols, labels if self._has_classes else None


class _OfArrays(Source):
    def __init__(
        self,
        run: Run,
        place: str,
        limit: int | None,
        label: int | None,
        quantise: bool,
        report: Report,
    ):
        if not Path(place).is_file():
            raise InputError(f"there is no .npz file {place}")
        pixels, labels = read_npz(Path(place))
        num = _limited(len(pixels), limit)
        bits = 8 * pixels.itemsize
        stored = {str(n): Stored(bits, int(image.max())) for n, image in enumerate(pixels[:num])}
        check_bright(stored, place, report)
        self._name, self._grid, self._quantise = place, _grid_of_images(run), quantise
        self._pixels = with_channels(pixels[:num], self._grid, place)
        self._labels: Labels | None = None
        if run.num_classes:
            if label is not None or labels is None:
                labels = np.asarray(labels_by_folder(run, place, [""] * num, label, report))
            self._labels = labels[:num]

    def __len__(self) -> int:
        return len(self._pixels)

    def read(self, numbers: range) -> tuple[Symbols, Labels | None]:
        part = slice(numbers.start, numbers.stop)
        symbols = to_symbols(self._pixels[part], self._grid, self._name, quantise=self._quantise)
        return symbols, None if self._labels is None else self._labels[part]


class _OfFiles(Source):
    def __init__(
        self,
        run: Run,
        places: Sequence[str],
        limit: int | None,
        label: int | None,
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
        self._labels: Labels | None = None
        if run.num_classes:
            depth = (run.tokenizer_config or run.config)["class_depth"]
            classes = [class_name(name, depth) if depth else "" for name in names]
            self._labels = np.asarray(labels_by_folder(run, places[0], classes, label, report))

    def __len__(self) -> int:
        return len(self._files)

    def read(self, numbers: range) -> tuple[Symbols, Labels | None]:
        found = []
        for number in numbers:
            path = self._files[number].path
            pixels = read_exactly(path, self._grid)
            found.append(to_symbols(pixels, self._grid, path, quantise=self._quantise))
        labels = None if self._labels is None else self._labels[numbers.start : numbers.stop]
        return np.concatenate(found), labels


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

"""Images to compress: files, folders, ``.npz`` files, and splits of the data of a run.

Legend: n images, h height, w width, g channels.
"""

import abc
import collections
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from pixelprior import jitted
from pixelprior.coding.codec import Codec
from pixelprior.coding.compressed import Images
from pixelprior.data import Symbols, to_pixels
from pixelprior.data.image_files.classes import class_name
from pixelprior.data.image_files.listing import ImageFile, list_images
from pixelprior.data.sources.npz import read_npz
from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.progress import Report
from pixelprior.runs.compression.exact import read_exactly, to_symbols, with_channels
from pixelprior.runs.compression.names import portable_names
from pixelprior.runs.images import labels_by_folder
from pixelprior.runs.run import Run


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
    def symbols(self, numbers: range) -> Int[np.ndarray, "n h w g"]:
        """Images by number, as symbols of the grid of the images."""

    @abc.abstractmethod
    def labels(self, numbers: range) -> Int[np.ndarray, " n"]:
        """Classes of images by number. They are asked only for a class-conditional run."""


def grid_of_images(run: Run) -> Grid:
    """Grid of the images of a run; for a prior, of those that its tokenizer takes."""
    grid: Grid = run.model.grid if run.tokenizer is None else run.tokenizer.grid
    return grid


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
    arrays = [place for place in places if place.lower().endswith(".npz")]
    if arrays:
        if len(places) > 1:
            raise InputError(f"give one .npz file, or image files; got {', '.join(places):.200}")
        return _OfArrays(run, places[0], limit, label, quantise)
    return _OfFiles(run, places, limit, label, quantise, report)


class Blocks:
    """Images of a source in blocks; for a prior, their codes.

    Args:
        run: the run.
        codec: the coder of its model.
        source: the images.
    """

    def __init__(self, run: Run, codec: Codec, source: Source):
        self._run, self._codec, self._source = run, codec, source
        self._squared_error, self._done = 0.0, 0

    def __iter__(self) -> Iterator[Images]:
        """Yield the blocks in turn."""
        source, num = self._source, len(self._source)
        for first in range(0, num, self._codec.images_per_block):
            numbers = range(first, min(first + self._codec.images_per_block, num))
            symbols = source.symbols(numbers)
            maps = [symbols] if self._run.tokenizer is None else self._encoded(symbols)
            labels = source.labels(numbers) if self._codec.num_classes else None
            names = None if source.names is None else [source.names[n] for n in numbers]
            yield Images(maps, labels, {} if names is None else {"names": names})

    @property
    def mean_squared_error(self) -> float | None:
        """Mean squared error of the images that were encoded so far, for pixels in [0, 1].

        None for a pixel model, which loses nothing.
        """
        return self._squared_error / self._done if self._done else None

    def _encoded(self, symbols: Int[np.ndarray, "n h w c"]) -> list[Any]:
        tokenizer, size = self._run.tokenizer, self._codec.batch_size
        assert tokenizer is not None
        parts: list[list[np.ndarray]] = []
        for first in range(0, len(symbols), size):
            pixels = to_pixels(symbols[first : first + size], tokenizer.grid.levels)
            num = len(pixels)
            # One shape, so that it compiles once.
            padded = np.pad(pixels, [(0, size - num), (0, 0), (0, 0), (0, 0)])
            maps = jitted.encode(tokenizer, padded)
            again = np.asarray(jitted.decode(tokenizer, maps))[:num]
            self._squared_error += float(np.square(again - pixels).mean(axis=(1, 2, 3)).sum())
            self._done += num
            parts.append([np.asarray(level)[:num] for level in maps])
        return [np.concatenate(level) for level in zip(*parts, strict=True)]


class _OfSplit(Source):
    def __init__(self, run: Run, split: str, limit: int | None, label: int | None, report: Report):
        dataset, self._symbols = run.open_data(report)
        self._split = dataset.split(split)
        dataset.check_unchanged(split)
        self._num, self._label = _limited(len(self._split), limit), label

    def __len__(self) -> int:
        return self._num

    def symbols(self, numbers: range) -> Int[np.ndarray, "n h w g"]:
        pixels, _ = self._split.source.read(list(numbers))
        symbols: Symbols = self._symbols
        return symbols.to_symbols(
            pixels, self._split.native_levels, split=self._split.name, indices=numbers
        )

    def labels(self, numbers: range) -> Int[np.ndarray, " n"]:
        _, labels = self._split.source.read(list(numbers))
        return labels if self._label is None else np.full(len(numbers), self._label)


class _OfArrays(Source):
    def __init__(self, run: Run, place: str, limit: int | None, label: int | None, quantise: bool):
        pixels, labels = read_npz(Path(place))
        num = _limited(len(pixels), limit)
        self._name, self._grid, self._quantise = place, grid_of_images(run), quantise
        self._pixels: UInt8[np.ndarray, "n h w c"] = with_channels(pixels[:num], self._grid, place)
        if label is not None:
            labels = np.full(num, label)
        if labels is None and run.num_classes:
            labels = np.asarray(labels_by_folder(run, place, [""] * num, None))
        self._labels = np.zeros(num, np.int32) if labels is None else labels

    def __len__(self) -> int:
        return len(self._pixels)

    def symbols(self, numbers: range) -> Int[np.ndarray, "n h w g"]:
        pixels = self._pixels[numbers.start : numbers.stop]
        return to_symbols(pixels, self._grid, self._name, quantise=self._quantise)

    def labels(self, numbers: range) -> Int[np.ndarray, " n"]:
        return self._labels[numbers.start : numbers.stop]


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
        self._grid, self._quantise = grid_of_images(run), quantise
        self._labels: Sequence[int] = []
        if run.num_classes:
            depth = (run.tokenizer_config or run.config)["class_depth"]
            classes = [class_name(name, depth) if depth else "" for name in names]
            self._labels = labels_by_folder(run, places[0], classes, label, report)

    def __len__(self) -> int:
        return len(self._files)

    def symbols(self, numbers: range) -> Int[np.ndarray, "n h w g"]:
        found = []
        for number in numbers:
            path = self._files[number].path
            pixels = read_exactly(path, self._grid)
            found.append(to_symbols(pixels, self._grid, path, quantise=self._quantise))
        return np.concatenate(found)

    def labels(self, numbers: range) -> Int[np.ndarray, " n"]:
        return np.asarray(self._labels[numbers.start : numbers.stop])


def _listed(place: str) -> Sequence[ImageFile]:
    path = Path(place.removeprefix("folder:"))
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

"""Real images in the shape and symbols of a run: its test images, or images of the user.

Legend: n images, h height, w width, c channels, k attributes.
"""

import abc
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from pixelprior.data import Symbols, to_pixels
from pixelprior.data.own_images import open_own_images
from pixelprior.data.source import Source
from pixelprior.data.words import listed
from pixelprior.errors import InputError
from pixelprior.progress import Message, Report, only_warnings
from pixelprior.runs.run import Run

OWN = "upload"
"""Name of the split of images of the user, which no data set has. Random binarisation uses it."""


class RunImages(abc.ABC):
    """Numbered images. After the last image, the first one follows.

    Attributes:
        names: names of the image files; None if the images have none.
        contents: a hash of all images; "" if it is not known.
    """

    names: Sequence[str] | None = None
    contents = ""

    def __init__(self, symbols: Symbols, native_levels: int, split: str):
        self._symbols = symbols
        self._native_levels = native_levels
        self._split = split

    @abc.abstractmethod
    def __len__(self) -> int:
        """Number of images."""

    @abc.abstractmethod
    def _read(self, number: int) -> tuple[int, Int[np.ndarray, "1 h w c"], int]:
        """Return the index of an image in its split, its stored pixels and its label."""

    def symbols(self, numbers: Int[np.ndarray, " n"]) -> Int[np.ndarray, "n h w c"]:
        """Images by number, as symbols."""
        found = []
        for number in numbers:
            index, pixels, _ = self._read(int(number) % len(self))
            found.append(
                self._symbols.to_symbols(
                    pixels, self._native_levels, split=self._split, indices=[index]
                )
            )
        return np.concatenate(found)

    def pixels(self, numbers: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n h w c"]:
        """Images by number, in [0, 1]."""
        return to_pixels(self.symbols(numbers), self._symbols.levels)

    def labels(self, numbers: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Labels of images by number; -1 for no label."""
        return np.array([self._read(int(number) % len(self))[2] for number in numbers])

    @abc.abstractmethod
    def attributes(self, numbers: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n k"]:
        """Attributes of images by number.

        Raises:
            InputError: if the images have none.
        """


class TestImages(RunImages):
    """Test images of the data set of a run, in an order that the seed determines.

    Args:
        run: the run.
        seed: the seed of the order.
        report: receives the progress, and remarks about the data.

    Raises:
        InputError: if the images cannot be read, or are no longer those of the run.
    """

    __test__ = False  # for pytest: this is no class of tests

    def __init__(self, run: Run, seed: int, report: Report = only_warnings):
        dataset, symbols = run.open_data(report)
        dataset.check_unchanged("test")
        split = dataset.split("test")
        super().__init__(symbols, split.native_levels, split.name)
        self._source = split.source
        self._order = np.random.default_rng(seed).permutation(len(split))

    def __len__(self) -> int:
        return len(self._order)

    def _read(self, number: int) -> tuple[int, Int[np.ndarray, "1 h w c"], int]:
        index = int(self._order[number])
        pixels, labels = self._source.read([index])
        return index, pixels, int(labels[0])

    def attributes(self, numbers: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n k"]:
        """See `RunImages.attributes`."""
        return self._source.attributes(self._order[np.asarray(numbers) % len(self)])


class OwnImages(RunImages):
    """Images of the user, in the order of their names, scaled to the shape of a run.

    Args:
        run: the run.
        place: the path of an image file, or "folder:/path".
        label: the class of all images; None for those of their folders.
        labelled: find the labels. If False, no image has one.
        report: receives remarks about the images.

    Raises:
        InputError: if the images cannot be read, or labels are needed and not known.
    """

    def __init__(
        self,
        run: Run,
        place: str,
        *,
        label: int | None = None,
        labelled: bool = False,
        report: Report = only_warnings,
    ):
        config = run.tokenizer_config or run.config
        height, width, channels = run.data["shape"]
        super().__init__(Symbols(config["levels"], config["binarisation"]), 256, OWN)
        opened = open_own_images(
            place,
            (height, width, channels),
            class_depth=config["class_depth"],
            values=run.values,
            report=report,
        )
        self.names = list(opened.names)
        self.contents = opened.contents
        self._source: Source = opened.source
        self._labels = [-1] * len(self.names)
        if labelled and run.num_classes:
            self._labels = labels_by_folder(run, place, opened.class_names, label, report)

    def __len__(self) -> int:
        return len(self._source)

    def _read(self, number: int) -> tuple[int, Int[np.ndarray, "1 h w c"], int]:
        return number, self._source[number]["image"][None], self._labels[number]

    def attributes(self, numbers: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n k"]:
        """See `RunImages.attributes`; they are not known."""
        raise InputError(
            "the model needs the attributes of the images of --images; give all of them with "
            "--attributes=..."
        )


def labels_by_folder(
    run: Run,
    place: str,
    class_names: Sequence[str],
    label: int | None,
    report: Report = only_warnings,
) -> list[int]:
    """Find the labels of images of the user: the given one, or those of their folders by name.

    Args:
        run: a class-conditional run.
        place: the place of the images, for messages.
        class_names: the name of each image's class; "" if it has none.
        label: the class of all images; None for those of their folders.
        report: receives a remark if the images have no class.

    Raises:
        InputError: if labels are needed and not known.
    """
    if label is not None:
        return [label] * len(class_names)
    known = list(run.data["class_names"])
    if not any(class_names):
        if not run.has_null_class:
            raise InputError(
                f"the model needs the class of the images in {place}; give --label=..., or put the "
                f"images into folders named by their classes ({listed(known)})"
            )
        report(Message(f"{place}: the images have no class; the model treats them without one"))
        return [len(known)] * len(class_names)
    if "" in class_names:
        raise InputError(
            f"some images in {place} are in folders named by their classes, and some are not; move "
            "them, or give --label=..."
        )
    unknown = sorted({name for name in class_names if name not in known})
    if unknown:
        raise InputError(
            f"the folders in {place} name their classes, but the model does not know "
            f"{listed(unknown)}; its classes are {listed(known)}. Rename the folders, or give "
            "--label=..."
        )
    return [known.index(name) for name in class_names]

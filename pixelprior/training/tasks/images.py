"""Shared code of the tasks that train on images."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from pixelprior.data import (
    START,
    Batch,
    Dataset,
    Position,
    Symbols,
    evaluation_batches,
    training_batch,
    training_batches,
)
from pixelprior.data.place import kind_of
from pixelprior.errors import InputError
from pixelprior.experiment import augmentation_of, describe_augmentation, open_data
from pixelprior.grid import Grid
from pixelprior.progress import Caution, Report
from pixelprior.system.devices import check_batch_size, rows_here

CHECKED_IMAGES = 256
NEARLY_ALL = 0.995
"""Share of equal symbols above which images are most likely black by mistake."""


class Images:
    """Images of an experiment.

    Args:
        config: config of the experiment.
        mesh: the devices.
        opened: the data set and its symbols; by default those that the config names.

    Raises:
        InputError: if there is no such data, the images cannot be augmented as the config says, or
            the batches cannot be split over the devices.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        mesh: jax.sharding.Mesh,
        opened: tuple[Dataset, Symbols] | None = None,
    ):
        check_batch_size(config["batch_size"], mesh, parts=max(1, config["accumulate_steps"]))
        self.config = config
        self.mesh = mesh
        self.dataset, self.symbols = opened or open_data(config)[:2]
        self.grid = Grid(*self.dataset.shape, levels=self.symbols.levels)
        self.augmentation = augmentation_of(config)
        self.augmentation.check(self.dataset.shape, self.symbols.levels)

    @property
    def title(self) -> str:
        """Description of the data and their symbols, for people."""
        # Conversions of files are worth a look before the training.
        note = f", {self.dataset.note}" if kind_of(self.dataset.name) and self.dataset.note else ""
        changes = describe_augmentation(self.config)
        augmented = f", augmented in training ({changes})" if changes else ""
        return f"{self.dataset.name}, {self.symbols.describe('train')}{note}{augmented}"

    def batches(self, start: Position = START) -> Iterator[Batch]:
        """Yield training batches without end, each with the rows of this process."""
        return training_batches(
            self.dataset.splits["train"],
            self.symbols,
            batch_size=self.config["batch_size"],
            seed=self.config["seed"],
            augmentation=self.augmentation,
            start=start,
            rows=rows_here(self.config["batch_size"], self.mesh),
        )

    def first_batch(self) -> Batch:
        """Return the whole first training batch."""
        return training_batch(
            self.dataset.splits["train"],
            self.symbols,
            batch_size=self.config["batch_size"],
            seed=self.config["seed"],
            step=0,
            augmentation=self.augmentation,
        )

    def describe(self) -> dict[str, Any]:
        """Return the facts about the images for a run folder."""
        dataset, symbols = self.dataset, self.symbols
        return {
            "name": dataset.name,
            "shape": dataset.shape,
            "levels": symbols.levels,
            "native_levels": dataset.native_levels,
            "symbols": {split: symbols.describe(split) for split in dataset.splits},
            "splits": {
                name: {"description": split.description, "images": len(split)}
                for name, split in dataset.splits.items()
            },
            "class_names": dataset.class_names,
            "note": dataset.note,
            "reading": dataset.reading,
            "contents": dataset.contents,
            "attribute_names": dataset.attribute_names,
            "attribute_contents": dataset.attribute_contents,
        }

    def check_symbols(self, report: Report) -> None:
        """Check that the images do not nearly all consist of one symbol, as black images do.

        Args:
            report: receives a caution if nearly all symbols are equal.

        Raises:
            InputError: if all symbols of the first images are equal.
        """
        split = self.dataset.split("train")
        num = min(CHECKED_IMAGES, len(split))
        batch = next(evaluation_batches(split, self.symbols, batch_size=num))
        counts = np.bincount(batch["image"].ravel(), minlength=self.symbols.levels)
        share, symbol = counts.max() / counts.sum(), int(counts.argmax())
        told = (
            f"of the symbols of the first {num:,} training images are {symbol}, in [0, "
            f"{self.symbols.levels}); check the images, config.levels and config.binarisation"
        )
        if share == 1:
            raise InputError(f"all {told}")
        if share > NEARLY_ALL:
            report(Caution(f"{100 * share:.1f}% {told}"))

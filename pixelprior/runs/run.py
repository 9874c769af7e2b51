"""Trained runs. A run is loaded once and passed on as a value."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int32

from pixelprior.data import Dataset, Symbols
from pixelprior.errors import InputError
from pixelprior.evaluation.read import read_symbols
from pixelprior.experiment import open_data
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.code_maps import level_names
from pixelprior.training.metrics import read_metrics
from pixelprior.training.run_folder import RunFolder


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """A trained run.

    Attributes:
        model: the pixel model, the tokenizer or the prior.
        config: the config, with every key.
        data: facts about the training data; see `RunFolder`.
        provenance: a description of the weights, printed with every result.
        step: the training step of the weights.
        tokenizer: the tokenizer of a prior; None for the other tasks.
        tokenizer_config: the config of the run that trained this tokenizer.
        folder: the run folder; None for a run in memory.
        images: the data set and its symbols, for a run on arrays in memory.
        records: the training records of a run in memory.
    """

    model: Any
    config: Mapping[str, Any]
    data: Mapping[str, Any]
    provenance: str
    step: int
    tokenizer: VQVAE | None = None
    tokenizer_config: Mapping[str, Any] | None = None
    folder: RunFolder | None = None
    images: tuple[Dataset, Symbols] | None = None
    records: Sequence[Mapping[str, Any]] = ()

    def with_images(self, images: tuple[Dataset, Symbols] | None) -> "Run":
        """Return the same run with a data set in memory."""
        return dataclasses.replace(self, images=images)

    def open_data(self) -> tuple[Dataset, Symbols]:
        """Open the data set of the run, and the conversion of its pixels to symbols.

        Raises:
            InputError: if there is no such data, or its shape or number of values has changed.
        """
        if self.images is not None:
            return self.images
        dataset, symbols, grid = open_data(self.tokenizer_config or self.config)
        if list(grid.shape) != list(self.data["shape"]) or grid.levels != self.data["levels"]:
            raise InputError(
                f"the run was trained on images of shape {self.data['shape']} with "
                f"{self.data['levels']} levels, but {dataset.name} now has {list(grid.shape)} and "
                f"{grid.levels}; the data set has changed since"
            )
        return dataset, symbols

    def read(
        self, split: str = "test", *, limit: int | None = None
    ) -> tuple[Int32[np.ndarray, "n h w c"], Int32[np.ndarray, " n"]]:
        """Read the images of a split as symbols, and their labels.

        Examples:
            >>> images, labels = run.read("test", limit=16)

        Args:
            split: "train", "validation" or "test".
            limit: the number of images, from the first; None for all.

        Raises:
            InputError: if there is no such split, or the data cannot be read.
        """
        dataset, symbols = self.open_data()
        return read_symbols(dataset.split(split), symbols, limit=limit)

    @property
    def task(self) -> str:
        """Task of the run: "pixels", "tokenizer" or "prior"."""
        return self.config["task"]

    @property
    def vqvae(self) -> VQVAE | None:
        """VQ-VAE of a tokenizer run or of a prior; None for a pixel model."""
        return self.model if self.task == "tokenizer" else self.tokenizer

    @property
    def unlearned_levels(self) -> list[str]:
        """Names of the levels that a prior has not trained; empty for other tasks."""
        if self.task != "prior":
            return []
        names = level_names(len(self.model.grids))
        return [name for name in names if name not in self.data["learned_levels"]]

    @property
    def can_sample(self) -> bool:
        """True if images can be sampled from the run."""
        return self.task != "tokenizer" and not self.unlearned_levels

    def class_index(self, label: str | None) -> int | None:
        """Index of a class from its name or number; None for None.

        Raises:
            InputError: if the label is neither a name nor a number.
        """
        names = list(self.data["class_names"])
        if label is None:
            return None
        # Names come first: the classes of digits are named "0" to "9", in any order.
        if label in names:
            return names.index(label)
        try:
            return int(label)
        except (ValueError, TypeError):
            raise InputError(
                f"label must be the number or the name of a class ({', '.join(names) or 'none'}), "
                f"got {label!r}"
            ) from None

    @property
    def metrics(self) -> Sequence[Mapping[str, Any]]:
        """Records of the training, each a mapping with its step."""
        return self.records if self.folder is None else read_metrics(self.folder.metrics)

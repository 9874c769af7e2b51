"""A trained run as a value: loaded once, then passed on."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from pixelprior.data import Dataset, Symbols
from pixelprior.tokenizers import VQVAE
from pixelprior.training.metrics import read_metrics
from pixelprior.training.run_folder import RunFolder


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """A trained run.

    Attributes:
        model: the model of pixels, the tokenizer or the prior.
        config: the experiment, with every key resolved.
        data: the facts about the training data, see `RunFolder`.
        provenance: the weights in words, printed beside every result.
        step: the training step of the weights.
        tokenizer: the tokenizer of a prior; None for the other tasks.
        tokenizer_config: the experiment that trained this tokenizer.
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

    @property
    def task(self) -> str:
        """Task of the run: "pixels", "tokenizer" or "prior"."""
        return self.config["task"]

    @property
    def metrics(self) -> Sequence[Mapping[str, Any]]:
        """Records of the training, one mapping for each, with its step."""
        return self.records if self.folder is None else read_metrics(self.folder.metrics)

"""Trained runs. A run is loaded once and passed on as a value."""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32

from pixelprior.data import Dataset, Symbols
from pixelprior.data.dataset import SPLITS
from pixelprior.data.manifest import Manifest
from pixelprior.data.pictures.pixel_range import PixelRange
from pixelprior.data.place import kind_of
from pixelprior.data.sources.arrays import PREFIX as ARRAYS
from pixelprior.errors import InputError
from pixelprior.evaluation.read import read_symbols
from pixelprior.experiment import Place, at_place, reopen_data
from pixelprior.progress import Caution, Event, Message, Report, only_warnings
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.code_maps import level_names
from pixelprior.training.checksums import digest_of
from pixelprior.training.metrics import read_metrics
from pixelprior.training.run_folder import RunFolder

LISTED = 20
"""Largest number of classes that a message lists."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A trained run.

    Attributes:
        model: the pixel model, the tokenizer or the prior; None if only the records were read.
        config: the config, with every key.
        data: facts about the training data; see `RunFolder`.
        provenance: a description of the weights, printed with every result.
        step: the training step of the weights.
        tokenizer: the tokenizer of a prior; None for the other tasks.
        tokenizer_config: the config of the run that trained this tokenizer.
        folder: the run folder; None for a run in memory or from a file.
        source: the name of the exported file or bundled model; empty for other runs.
        pixel_range: the range of the stored pixels of image files, for a run from a file.
        images: the data set and its symbols, for a run in memory or on arrays.
        records: the training records of a run in memory, or the results that a file has.
    """

    model: Any
    config: Mapping[str, Any]
    data: Mapping[str, Any]
    provenance: str
    step: int
    tokenizer: VQVAE | None = None
    tokenizer_config: Mapping[str, Any] | None = None
    folder: RunFolder | None = None
    source: str = ""
    pixel_range: PixelRange | None = None
    images: tuple[Dataset, Symbols] | None = None
    records: Sequence[Mapping[str, Any]] = ()
    _told: set[str] = dataclasses.field(default_factory=set, init=False, repr=False)

    def __repr__(self) -> str:
        """Describe the run in one line. The whole network would take hundreds."""
        name = type(self.model).__name__
        return f"Run({name} of {self.data['name']}, {self.place}, {self.provenance})"

    def with_images(self, images: tuple[Dataset, Symbols] | None) -> "Run":
        """Return the same run with a data set in memory."""
        return dataclasses.replace(self, images=images)

    def at_place(self, place: Place) -> "Run":
        """Return the same run with its data at another place.

        Raises:
            InputError: if the data set does not have such a place.
        """
        of_tokenizer = self.tokenizer_config
        return dataclasses.replace(
            self,
            config=at_place(self.config, place),
            tokenizer_config=None if of_tokenizer is None else at_place(of_tokenizer, place),
        )

    def open_data(self, report: Report = only_warnings) -> tuple[Dataset, Symbols]:
        """Open the data set of the run, and the conversion of its pixels to symbols.

        Image files may be missing or changed since: see `Dataset.check_unchanged`.

        Args:
            report: receives the progress, and remarks about the data.

        Raises:
            InputError: if there is no such data, or it is another data set.
        """
        return self.images or self._reopened(report)

    def _reopened(self, report: Report, *, new_attributes: bool = False) -> tuple[Dataset, Symbols]:
        """Open the data set of the run again; see `reopen_data`."""

        def once(event: Event) -> None:
            # A command may open the data several times.
            if isinstance(event, Message | Caution):
                if event.text in self._told:
                    return
                self._told.add(event.text)
            report(event)

        return reopen_data(
            self._image_config,
            self.data,
            self.manifest,
            once,
            has_manifest=self._image_folder is not None,
            new_attributes=new_attributes,
        )

    def with_attributes(self, report: Report = only_warnings) -> "Run":
        """Return the same run with the attributes of its images, which it was trained without.

        Raises:
            InputError: if the images have no attributes, or are not those of the run.
        """
        if self.data["attribute_names"]:  # of arrays, which cannot be opened again
            return self
        opened = self.images
        if opened is None or not self.data["name"].startswith(ARRAYS):
            opened = self._reopened(report, new_attributes=True)
        dataset, symbols = opened
        dataset.check_unchanged(*SPLITS)
        attributes = {
            "attribute_names": list(dataset.attribute_names),
            "attribute_contents": dataset.attribute_contents,
        }
        return dataclasses.replace(
            self, data={**self.data, **attributes}, images=(dataset, symbols)
        )

    def check_images(self, *splits: str, report: Report = only_warnings) -> None:
        """Check that files of images are still those of the run. Missing data are no error.

        Results that are kept in the run folder are right only for these images.

        Args:
            splits: the splits to check.
            report: receives the progress, and a remark if there are no images to check.

        Raises:
            InputError: if files of these splits are missing or changed, or it is another data set.
        """
        name = self._image_config["dataset"]
        if self.images is not None or not kind_of(name):
            return
        if not Path(name.removeprefix(kind_of(name))).exists():
            report(Message(f"{name} is not there; earlier results of this run are used"))
            return
        self.open_data(report)[0].check_unchanged(*splits)

    @property
    def manifest(self) -> Manifest | None:
        """Files of the data set; None if it does not consist of image files."""
        if self.folder is None:
            return None if self.images is None else self.images[0].manifest
        return None if self._image_folder is None else self._image_folder.manifest()

    @property
    def values(self) -> PixelRange | None:
        """Range of the stored pixels of the image files; None if it is not known."""
        manifest = self.manifest
        return self.pixel_range if manifest is None else manifest.values

    @property
    def place(self) -> str:
        """Folder or file of the run, or "memory"; for messages and results."""
        return (self.source or "memory") if self.folder is None else str(self.folder.path)

    @property
    def _image_folder(self) -> RunFolder | None:
        """Folder of the run that trained on images; None if a file or memory holds that run."""
        if self.folder is None or self.tokenizer_config is None:
            return self.folder
        of_tokenizer = RunFolder(self.folder.tokenizer)
        return of_tokenizer if (of_tokenizer.path / "config.json").exists() else None

    @property
    def _image_config(self) -> Mapping[str, Any]:
        """Config of the run that trained on images: this one, or that of its tokenizer.

        Tokenizers have no conditions. Their priors may take the attributes of the images.
        """
        if self.tokenizer_config is None:
            return self.config
        takes_attributes = self.config.get("attribute_conditional", False)
        return {**self.tokenizer_config, "attribute_conditional": takes_attributes}

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
        images = dataset.split(split)
        dataset.check_unchanged(split)
        return read_symbols(images, symbols, limit=limit)

    @property
    def identity(self) -> dict[str, str]:
        """Weights and images of the run. Kept results of another identity are measured again.

        The description of the weights alone is not enough: another training in the same folder may
        end at the same step.
        """
        checkpoint = self.folder and digest_of(self.folder.checkpoints / str(self.step))
        return {
            "weights": self.provenance,
            "contents": self.data["contents"],
            "checkpoint": checkpoint or "",
        }

    @property
    def task(self) -> str:
        """Task of the run: "pixels", "tokenizer" or "prior"."""
        return self.config["task"]

    @property
    def num_classes(self) -> int:
        """Number of classes that the model is conditioned on; 0 if unconditional."""
        return len(self.data["class_names"]) if self.config.get("class_conditional") else 0

    @property
    def has_null_class(self) -> bool:
        """True if the model also takes images without a class."""
        return bool(self.num_classes and self.config["label_dropout"])

    @property
    def vqvae(self) -> VQVAE | None:
        """VQ-VAE of a tokenizer run or of a prior; None for a pixel model."""
        return self.model if self.task == "tokenizer" else self.tokenizer

    @property
    def unlearned_levels(self) -> list[str]:
        """Names of the levels that a prior has not trained; empty for other tasks."""
        if self.task != "prior":
            return []
        names = level_names(len(self.data["code_grids"]))
        return [name for name in names if name not in self.data["learned_levels"]]

    @property
    def can_sample(self) -> bool:
        """True if images can be sampled from the run."""
        return self.task != "tokenizer" and not self.unlearned_levels

    def class_index(self, label: str | None) -> int | None:
        """Index of a class from its name or number; None for None.

        A number that is no name is an index, unless all names are numbers.

        Raises:
            InputError: if there is no such class.
        """
        if label is None:
            return None
        names = list(self.data["class_names"])
        if not isinstance(label, str):
            raise InputError(f"label must be the number or the name of a class, got {label!r:.80}")
        if not names:
            raise InputError("this run has no classes; leave --label out")
        if label in names:
            return names.index(label)
        numbered = all(map(str.isdecimal, names))
        if numbered or not label.removeprefix("-").isdecimal():
            raise InputError(f"there is no class {label!r}; {_hint(label, names, numbered)}")
        if not 0 <= int(label) < len(names):
            raise InputError(
                f"there are {len(names)} classes, numbered from 0 to {len(names) - 1}, got the "
                f"number {label}"
            )
        return int(label)

    @property
    def metrics(self) -> Sequence[Mapping[str, Any]]:
        """Records of the training, each a mapping with its step."""
        return self.records if self.folder is None else read_metrics(self.folder.metrics)


def _hint(label: str, names: Sequence[str], numbered: bool) -> str:
    """Suggest the class with a similar name, or list the classes."""
    folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(label.casefold(), folded, n=1)
    # A similar number is not what the user meant.
    if close and not numbered:
        return f"did you mean {folded[close[0]]}?"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"the classes are {', '.join(names[:LISTED])}{more}"

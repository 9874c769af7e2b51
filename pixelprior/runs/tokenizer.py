"""Tokenizer runs for priors: the fingerprint, the codes, and a copy in the folder of a prior."""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from pixelprior import jitted
from pixelprior.data import (
    CodeFacts,
    CodeSet,
    Split,
    Symbols,
    codes_in_memory,
    codes_of,
    evaluation_batches,
)
from pixelprior.data.codes.records import Coded
from pixelprior.data.dataset import SPLITS
from pixelprior.errors import InputError
from pixelprior.experiment import SAME_PLACE, Place
from pixelprior.progress import Advance, Finished, Message, Report, only_warnings
from pixelprior.runs.fingerprint import fingerprint_of
from pixelprior.runs.load import load_trained
from pixelprior.runs.one_file.layout import FILE_NAME
from pixelprior.runs.one_file.read import read_file
from pixelprior.runs.one_file.write import write_file
from pixelprior.runs.run import Run
from pixelprior.runs.source import find_file
from pixelprior.system.atomic import replacing
from pixelprior.system.devices import data_mesh, put_batch
from pixelprior.system.leftovers import remove_leftovers
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.likelihoods import as_pixels
from pixelprior.training.metrics import read_metrics
from pixelprior.training.run_folder import RunFolder

ENCODED_AT_ONCE = 128  # number of images on each device


class TokenizerRun(NamedTuple):
    """A finished run of a tokenizer.

    Attributes:
        run: the run, with the averaged weights of the best checkpoint.
        fingerprint: a hash of settings, weights and data, which identifies the codes.
    """

    run: Run
    fingerprint: str

    @property
    def tokenizer(self) -> VQVAE:
        """Trained tokenizer."""
        return self.run.model

    @property
    def place(self) -> str:
        """Folder or file of the run, or "memory"; for messages."""
        return self.run.place


def open_tokenizer_run(
    source: str | Path | Run, report: Report = only_warnings, *, place: Place = SAME_PLACE
) -> TokenizerRun:
    """Open a finished run of a tokenizer.

    Args:
        source: the folder or the file of the run, or the run itself.
        report: receives a caution for each damaged checkpoint.
        place: the place of its images, if they have moved.

    Raises:
        InputError: if there is no such run, its task is another one, or it was never finished.
    """
    if not isinstance(source, Run) and (file := find_file(source)):
        source = read_file(*file)
    if not isinstance(source, Run):
        folder = RunFolder(source)
        # Check this first, because reading the weights takes longer.
        _check_finished(source, folder.config().get("task"), read_metrics(folder.metrics))
        source = load_trained(source, report=report)
    else:
        _check_finished(source.place, source.task, source.metrics)
    return TokenizerRun(source.at_place(place), fingerprint_of(source))


def _check_finished(
    place: str | Path, task: str | None, records: Sequence[Mapping[str, Any]]
) -> None:
    if task != "tokenizer":
        raise InputError(
            f"{place} is a run of the task {task!r}, but a tokenizer's is needed: train one with a "
            "config like configs/digits.py:vqvae"
        )
    if not any("best_step" in record for record in records):
        raise InputError(
            f"the training of the tokenizer in {place} is not complete; run its training command "
            "again to resume"
        )


def make_codes(
    run: TokenizerRun,
    *,
    in_memory: bool = False,
    report: Report = only_warnings,
) -> CodeSet:
    """Return the codes of the data set of a tokenizer.

    The codes are made on the devices of this process, and kept in the run folder of the tokenizer.
    Later calls read them from there, without the images if these are not there any more.

    Args:
        run: the run of the tokenizer.
        in_memory: do not read or write a code set on disk.
        report: receives the number of encoded images.

    Raises:
        InputError: if the images differ from the training data of the tokenizer, or the codes
            cannot be written.
    """
    mesh, trained = data_mesh(jax.local_devices()), run.run

    def make() -> Mapping[str, tuple[str, Iterable[Any]]]:
        dataset, symbols = trained.open_data(report)
        dataset.check_unchanged(*SPLITS)
        report(Message(f"encoding {dataset.name} with the tokenizer in {run.place}"))
        return {
            name: (split.description, _encode(run.tokenizer, split, symbols, mesh, report))
            for name, split in dataset.splits.items()
        }

    if in_memory or trained.folder is None:
        return codes_in_memory(code_facts(run), make())
    # Codes of other images under the same names would be wrong.
    trained.check_images(*SPLITS, report=report)
    return codes_of(trained.folder.path / "codes", code_facts(run), make)[0]


def code_facts(run: TokenizerRun) -> CodeFacts:
    """Facts about the codes that a tokenizer makes from its training data, and their attributes."""
    data = run.run.data
    return CodeFacts(
        fingerprint=run.fingerprint,
        grids=run.tokenizer.code_grids,
        name=data["name"],
        class_names=tuple(data["class_names"]),
        note=data["note"],
        attribute_names=tuple(data["attribute_names"]),
        attribute_contents=data["attribute_contents"],
    )


def carry(run: TokenizerRun, into: Path) -> None:
    """Copy the files of a tokenizer run that a prior needs, completely or not at all.

    A tokenizer from an exported file becomes such a file again.
    """
    from pixelprior.training.checkpoints import copy_averaged

    if into.exists():
        return
    folder = run.run.folder
    if folder is None and not run.run.source:
        raise InputError(
            "a prior in a folder carries its tokenizer, but this tokenizer's run is in memory; "
            "train the tokenizer with a workdir, or the prior without one"
        )
    remove_leftovers(into.parent)
    with replacing(into) as unfinished:
        unfinished.mkdir(parents=True)
        if folder is None:
            write_file(run.run, unfinished / FILE_NAME, "float32", {})
            return
        for name in ("config.json", "data.json", "data_manifest.json", "metrics.jsonl"):
            if (folder.path / name).exists():
                shutil.copyfile(folder.path / name, unfinished / name)
        copy_averaged(folder.checkpoints, run.run.step, unfinished / "checkpoints")


def _encode(
    tokenizer: VQVAE, split: Split, symbols: Symbols, mesh: jax.sharding.Mesh, report: Report
) -> Iterator[Coded]:
    """Yield the codes, labels and attributes of a split, batch by batch."""
    done = 0
    report(Advance(split.name, done, len(split), "image"))
    try:
        for batch in evaluation_batches(split, symbols, batch_size=mesh.size * ENCODED_AT_ONCE):
            symbols_here = put_batch(batch["image"], mesh)
            codes = jitted.encode(tokenizer, as_pixels(symbols_here, tokenizer.grid))
            mask, attributes = batch["mask"], batch.get("attributes")
            yield Coded(
                [np.asarray(level)[mask] for level in codes],
                batch["label"][mask],
                None if attributes is None else attributes[mask],
            )
            done += int(mask.sum())
            report(Advance(split.name, done, len(split), "image"))
    finally:
        report(Finished(split.name))

"""Samples that are to be judged: drawn for it, or given as ``sample.py`` has written them.

Legend: n images, h height, w width, c channels.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Int, UInt8

from pixelprior.cli.sample_files import sample_to_files
from pixelprior.errors import InputError
from pixelprior.figures.sheets import as_shades
from pixelprior.runs.run import Run
from pixelprior.sampling.labels import labels_in_turn
from pixelprior.sampling.methods import AUTO
from pixelprior.training.run_folder import RunFolder

FEWEST_SAMPLES = 10
"""With fewer there are no ten parts of them, nor five neighbours."""

SEED = 0  # of samples that are drawn to be judged
BATCH = 256


class SampleSet(NamedTuple):
    """Samples, and what is known of how they were made.

    Attributes:
        images: in 256 shades.
        labels: the class that each was asked to be of; None if that is not known, or there is none.
        made_by: the settings that they were drawn with, as far as the file tells them.
    """

    images: UInt8[np.ndarray, "n h w c"]
    labels: Int[np.ndarray, " n"] | None
    made_by: Mapping[str, Any]


def draw_samples(
    workdir: str | Path, trained: Run, num: int, *, checkpoint: str, averaged: bool
) -> SampleSet:
    """Draws ``num`` samples of a run as it is, or reads those that were drawn of it before.

    Raises:
        InputError: if the run has nothing to sample from, or its folder cannot be written.
    """
    path = RunFolder(workdir).evaluation / f"samples_{num}.npz"
    if path.is_file():
        made_by = _read(path)[1]
        if made_by.get("weights") == trained.provenance and made_by.get("seed") == SEED:
            return read_samples(path, trained)
    sample_to_files(
        workdir,
        path,
        num=num,
        batch_size=BATCH,
        seed=SEED,
        strategies=[()],
        label=None,
        method=AUTO,
        checkpoint=checkpoint,
        averaged=averaged,
        individual=False,
        overwrite=True,
    )
    return read_samples(path, trained)


def read_samples(path: str | Path, trained: Run) -> SampleSet:
    """Reads an ``.npz`` file of ``images``, like those of ``sample.py --out=samples.npz``.

    Raises:
        InputError: if there is no such file, its images are not of the size of the run's data, not
            finite or out of range, or it says that they are of other data.
    """
    path = Path(path)
    images, made_by = _read(path)
    shape = tuple(trained.data["shape"])
    if images.ndim != 4 or images.shape[1:] != shape or len(images) < FEWEST_SAMPLES:
        raise InputError(
            f"expected at least {FEWEST_SAMPLES} images [n, {', '.join(map(str, shape))}] in "
            f"{path}, as the run's data has them, got shape {list(images.shape)}"
        )
    if made_by.get("data", trained.data["name"]) != trained.data["name"]:
        raise InputError(
            f"the samples in {path} are of a model of {made_by['data']}, but this run is of "
            f"{trained.data['name']}; compare samples with the data that they are to be like"
        )
    if images.dtype != np.uint8:
        # Written so that a NaN fails too.
        if not np.issubdtype(images.dtype, np.floating) or not (
            images.min() >= 0 and images.max() <= 1
        ):
            raise InputError(
                f"expected images of uint8, or of finite floats in [0, 1], in {path}, got "
                f"{images.dtype} from {images.min()} to {images.max()}"
            )
        images = as_shades(images).astype(np.uint8)
    classes = len(trained.data["class_names"]) if trained.config["class_conditional"] else 0
    labels = None
    # Samples of all classes in turn, or of one; pictures of another kind have none that are known.
    if classes and made_by.get("mode") == "sample":
        labels = np.asarray(labels_in_turn(classes, made_by.get("label"), len(images)))
    return SampleSet(images, labels, made_by)


def _read(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    try:
        # Opened here, since NumPy leaves a file open that it cannot read.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            images = archive["images"]
            told = str(archive["request"]) if "request" in archive else "{}"
    # No such file, no archive, no such array, objects to be unpickled, an array and no archive.
    except (OSError, BadZipFile, KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not an .npz file with an array of images ({error}); sample.py "
            "--out=samples.npz writes one"
        ) from error
    try:
        made_by = json.loads(told)
    except ValueError:
        made_by = {}
    # Of other programs, which may mean something else by the name.
    return images, made_by if isinstance(made_by, dict) else {}

"""Samples to judge: drawn from a run, or read from a file of ``sample.py``.

Legend: n images, h height, w width, c channels.
"""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float, Int, UInt8

from pixelprior.errors import InputError
from pixelprior.figures.outputs import InMemory, fill, open_file
from pixelprior.figures.sheets import as_shades
from pixelprior.progress import Message, Report, only_warnings
from pixelprior.runs.conditions import Conditions
from pixelprior.runs.run import Run
from pixelprior.runs.samples import Request, samples_of
from pixelprior.sampling.labels import labels_in_turn
from pixelprior.sampling.methods import AUTO
from pixelprior.system.own_file import is_own_file

FEWEST_SAMPLES = 10
"""Smallest number of samples. The measures need ten parts and five neighbours."""

REQUEST = Request(seed=0, strategies=[()], label=None, guidance=None, method=AUTO)
"""Settings of the samples that are drawn to judge."""

BATCH = 256

_TOLD = {
    **dict.fromkeys(("mode", "data", "weights", "checkpoint", "strategies"), str | None),
    "label": int | None,
    "attributes": dict | None,
}
"""Types of the settings that are read from a file; None for a missing one."""


class SampleSet(NamedTuple):
    """Samples, and their settings if known.

    Attributes:
        images: images in 256 shades.
        labels: the requested class of each sample; None if it is not known, or there is none.
        made_by: the settings of the samples, as far as the file contains them.
    """

    images: UInt8[np.ndarray, "n h w c"]
    labels: Int[np.ndarray, " n"] | None
    made_by: Mapping[str, Any]


def draw_samples(run: Run, num: int, report: Report = only_warnings) -> SampleSet:
    """Draw ``num`` samples of a run, or read earlier ones of the same weights from its folder.

    The folder keeps each batch, so an interrupted job continues after the last batch.

    Raises:
        InputError: if the run cannot be sampled from, or its folder cannot be written.
    """
    samples, made_by = samples_of(run, REQUEST), _made_by(run)

    def draw(numbers: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n h w c"]:
        return samples.pixels(samples.draw(numbers))

    path = None if run.folder is None else run.folder.evaluation / f"samples_{num}.npz"
    if path is not None and run.folder is not None and is_own_file(run.folder.path, path):
        # A file that is damaged is drawn again.
        with contextlib.suppress(InputError):
            kept = read_samples(path, run)
            if len(kept.images) == num and _same_samples(kept.made_by, made_by):
                return kept
    output = InMemory() if path is None else open_file(path, made_by, overwrite=True)
    fill(output, draw, num, batch_size=BATCH, report=report)
    if isinstance(output, InMemory):
        return SampleSet(output.images, _labels(run, made_by, num), made_by)
    report(Message(f"{num} images in {path} ({run.provenance})"))
    assert path is not None
    return read_samples(path, run)


def _same_samples(kept_by: Mapping[str, Any], made_by: Mapping[str, Any]) -> bool:
    return all(kept_by.get(key) == made_by[key] for key in ("weights", "checkpoint", "seed"))


def _made_by(run: Run) -> dict[str, Any]:
    """Describe the samples in the same way as ``sample.py`` does in its files."""
    return {
        "mode": "sample",
        "run": run.source or None if run.folder is None else str(run.folder.path.resolve()),
        "data": run.data["name"],
        **run.identity,
        **REQUEST._asdict(),
        "images": None,
        "known": None,
        "strategies": repr(REQUEST.strategies),
        "method": None,
    }


def read_samples(path: str | Path, run: Run) -> SampleSet:
    """Read an ``.npz`` file of ``images``, as ``sample.py --out=samples.npz`` writes it.

    Raises:
        InputError: if there is no such file, or its images have another size than the data of the
            run. Also if values are not finite or out of range, or the file names other data.
    """
    path = Path(path)
    images, made_by = _read(path)
    shape = tuple(run.data["shape"])
    if images.ndim != 4 or images.shape[1:] != shape or len(images) < FEWEST_SAMPLES:
        raise InputError(
            f"expected at least {FEWEST_SAMPLES} images [n, {', '.join(map(str, shape))}] in "
            f"{path}, as the run's data has them, got shape {list(images.shape)}"
        )
    same = made_by.get("contents") == run.data["contents"] != ""
    if not same and made_by.get("data", run.data["name"]) != run.data["name"]:
        raise InputError(
            f"the samples in {path} are of a model of {made_by['data']}, but this run is of "
            f"{run.data['name']}; compare samples with the data set of their model"
        )
    if images.dtype != np.uint8:
        is_float, came = np.issubdtype(images.dtype, np.floating), str(images.dtype)
        if is_float:
            came += f" from {images.min()} to {images.max()}"
        # These comparisons also fail for NaN.
        if not is_float or not (images.min() >= 0 and images.max() <= 1):
            raise InputError(
                f"expected images of uint8, or of finite floats in [0, 1], in {path}, got {came}"
            )
        images = as_shades(images).astype(np.uint8)
    return SampleSet(images, _labels(run, made_by, len(images)), made_by)


def _labels(run: Run, made_by: Mapping[str, Any], num: int) -> Int[np.ndarray, " n"] | None:
    """Labels of samples, as they were drawn; None for other pictures."""
    if not run.num_classes or made_by.get("mode") != "sample":
        return None
    label = made_by.get("label")
    if run.config.get("attribute_conditional") and label is None:
        # The classes are those of the test images, as the attributes are.
        context = Conditions(run, None, {})(np.arange(num))
        return None if context is None else np.asarray(context.label)
    return np.asarray(labels_in_turn(run.num_classes, label, num))


def _read(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    try:
        # Opened here, because NumPy does not close a file that it cannot read.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            images = archive["images"]
            told = str(archive["request"]) if "request" in archive else "{}"
    # The file or the array is missing, it is not an archive, or it contains pickled objects.
    except (OSError, BadZipFile, KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not an .npz file with an array of images ({error}); sample.py "
            "--out=samples.npz writes one"
        ) from error
    try:
        made_by = json.loads(told)
        fits = all(isinstance(made_by.get(key), kinds) for key, kinds in _TOLD.items())
    # It is not JSON, or not a mapping.
    except (ValueError, AttributeError):
        fits = False
    if not fits:
        raise InputError(
            f"the array `request` in {path} must be the JSON text that sample.py writes, got "
            f"{told!r:.80}; leave it out of files of other programs"
        )
    return images, made_by

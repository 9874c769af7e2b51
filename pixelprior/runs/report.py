"""One run of a report: what was measured of it, and its pictures, kept in its folder for the next.

Legend: h height, w width.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from pixelprior.evaluation.comparison import Training, training_of
from pixelprior.figures.sheets import save_pixels
from pixelprior.models.base import AutoregressiveModel
from pixelprior.runs.evaluate.evaluate import measure_split, open_trained_data
from pixelprior.runs.images import RunImages
from pixelprior.runs.load import load_trained
from pixelprior.runs.pictures import Subject
from pixelprior.runs.pictures import pictures as pictures_of
from pixelprior.runs.receptive_field import draw_field
from pixelprior.runs.run import Run
from pixelprior.runs.samples import Request, has_learned_all
from pixelprior.sampling.methods import AUTO
from pixelprior.training.metrics import read_metrics
from pixelprior.training.run_folder import RunFolder

SHOWN = 16  # images in a picture
COLUMNS = 8
SEED = 0  # of the samples

HEADLINES = {
    "pixels": ("nats", "nats/image"),
    "tokenizer": ("squared_error", "squared error"),
    "prior": ("nats", "nats/image"),
}
"""For each task what its runs are ranked by, the lower the better, and what that is called."""


class RunReport(NamedTuple):
    """What a report says of a run.

    Attributes:
        name: of the run.
        folder: where it lies.
        config: the experiment.
        group: what runs must share to be ranked with each other.
        training: see `Training`.
        measured: what ``evaluate.py`` measures of the split.
        samples: what it measured of samples, if it was asked to.
        cost: what it measured with ``--cost``, if it was asked to.
        pictures: PNG files, by what they show.
    """

    name: str
    folder: Path
    config: Mapping[str, Any]
    group: tuple[Any, ...]
    training: Training
    measured: Mapping[str, Any]
    samples: Mapping[str, Any] | None
    cost: Mapping[str, Any] | None
    pictures: Mapping[str, Path]

    @property
    def task(self) -> str:
        """What it does: "pixels", "tokenizer" or "prior"."""
        return self.config["task"]

    @property
    def headline(self) -> float:
        """What the run is ranked by."""
        return self.measured[HEADLINES[self.task][0]]


def report_run(
    name: str, folder: RunFolder, *, split: str, batch_size: int, mesh: jax.sharding.Mesh
) -> RunReport:
    """Gathers what a report says of a run; what its folder does not keep yet is measured and drawn.

    Raises:
        InputError: if the run or its data cannot be read, or there is no checkpoint.
    """
    trained = load_trained(folder.path)
    measured = folder.kept_evaluation(split)
    if measured is None or measured.get("weights") != trained.provenance:
        measured, _ = measure_split(
            trained,
            folder.path,
            open_trained_data(trained),
            split,
            with_baselines=False,
            batch_size=batch_size,
            mesh=mesh,
        )
        folder.keep_evaluation(split, measured)
    samples = folder.kept_evaluation(f"{split}_samples")
    if samples is not None and samples.get("weights") != trained.provenance:
        samples = None
    config, data = trained.config, trained.data
    pictures = _pictures(trained, folder)
    nearest = folder.evaluation / "nearest.png"
    if samples is not None and nearest.is_file():
        pictures["nearest"] = nearest
    return RunReport(
        name,
        folder.path,
        config,
        (
            config["task"],
            data["name"],
            tuple(data["shape"]),
            data["symbols"][split],
            data["splits"][split]["description"],
            data.get("tokenizer", "")[:16],
        ),
        training_of(
            read_metrics(folder.metrics),
            config["batch_size"],
            f"validation_{HEADLINES[config['task']][0]}",
        ),
        measured,
        samples,
        folder.kept_evaluation("cost"),
        pictures,
    )


def _pictures(trained: Run, folder: RunFolder) -> dict[str, Path]:
    """The pictures of a run, drawn unless they are those of the same weights already."""
    paths = {name: folder.evaluation / f"{name}.png" for name in _kinds(trained)}
    about = {"weights": trained.provenance}
    if folder.kept_evaluation("pictures") == about and all(p.is_file() for p in paths.values()):
        return paths
    request = Request(SEED, [()], None, None, AUTO)
    for name, path in paths.items():
        if name == "receptive_field":
            draw_field(trained, path)
            continue
        draw = (
            RunImages(trained, SEED, None, None).pixels
            if name == "real"
            else pictures_of(name, trained, request, Subject()).draw
        )
        save_pixels(draw(np.arange(SHOWN)), path, columns=COLUMNS)
    folder.keep_evaluation("pictures", about)
    return paths


def _kinds(trained: Run) -> list[str]:
    """What there is to be shown of a run: by the modes of ``sample.py``, but for two of them."""
    if trained.data["shape"][-1] not in (1, 3):
        return []
    if trained.task == "tokenizer":
        return ["reconstruct"]
    if trained.task == "prior":
        return [*(["sample", "real"] if has_learned_all(trained) else []), "reconstruct"]
    raster = isinstance(trained.model, AutoregressiveModel)
    return ["sample", "real", "likelihood", *(["receptive_field"] if raster else [])]

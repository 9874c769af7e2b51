"""Comparison of runs: the results of each, and samples of its model.

Legend: n images, h height, w width, c channels.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from pixelprior.errors import InputError
from pixelprior.evaluation.comparison import Row, Training, recorded_test, training_of
from pixelprior.experiment import data_identity
from pixelprior.models.base import AutoregressiveModel
from pixelprior.progress import Caution, Report, only_warnings
from pixelprior.runs.cost import DRAWN, time_sampling
from pixelprior.runs.evaluate.evaluation import hold, measure
from pixelprior.runs.kept_results import COSTS, OF_SAMPLES, ON_SPLIT
from pixelprior.runs.one_file.read import read_file
from pixelprior.runs.receptive_field import field_of
from pixelprior.runs.run import Run
from pixelprior.runs.source import find_file
from pixelprior.training.run_folder import RunFolder

SHOWN = 12  # number of samples of each run in the picture
FIELD_IMAGES = 16  # number of samples over which a receptive field is averaged

HEADLINES = {
    "pixels": ("nats", "nats/image"),
    "tokenizer": ("squared_error", "squared error"),
    "prior": ("nats", "nats/image"),
}
"""For each task, the key and the label of the result that ranks runs; lower is better."""


class ComparedRun(NamedTuple):
    """Results of a run.

    Attributes:
        name: the name of the run.
        place: the folder or the file of the run.
        config: the config of the run.
        group: the task, the data and the tokenizer. Only runs of equal groups can be ranked.
        num_parameters: the number of trained weights.
        training: see `Training`.
        measured: results on the split: all of them, or at least the headline.
        samples: results of samples, if they were judged before.
        cost: the costs, if they were measured before.
    """

    name: str
    place: str
    config: Mapping[str, Any]
    group: tuple[Any, ...]
    num_parameters: int
    training: Training
    measured: Mapping[str, Any]
    samples: Mapping[str, Any] | None
    cost: Mapping[str, Any] | None

    @property
    def task(self) -> str:
        """Task of the run: "pixels", "tokenizer" or "prior"."""
        return self.config["task"]

    @property
    def headline(self) -> float:
        """Result that ranks the run; lower is better."""
        return self.measured[HEADLINES[self.task][0]]


class Drawn(NamedTuple):
    """Samples and receptive field of a pixel model.

    Attributes:
        samples: the first `SHOWN` samples of a batch.
        samples_per_second: the speed of the sampler, once it is compiled.
        field: the receptive field of the centre; None if the model has another order than raster.
        levels: the values per symbol.
    """

    samples: Int[np.ndarray, "n h w c"]
    samples_per_second: float
    field: Float[np.ndarray, "h w"] | None
    levels: int


def places_of_runs(
    workdirs: Sequence[str | Path], *, unfinished: bool = False, report: Report = only_warnings
) -> dict[str, str]:
    """Find the runs at these places. Runs in a folder of runs need a checkpoint.

    The keys of the result are the names of the run folders and files. If two names are equal, the
    keys are their places. The values are the places, as `load_trained` takes them.

    Args:
        workdirs: run folders, folders of run folders, and whatever else `load_trained` takes.
        unfinished: also return runs without a checkpoint.
        report: receives a caution for each run that is left out.

    Raises:
        InputError: if there is no run, or a run was given twice.
    """
    if not workdirs:
        raise InputError("--compare needs run folders, as in evaluate.py --compare runs/a runs/b")
    # The place of each run, and the file or folder behind it.
    found: list[tuple[str, Path]] = []
    for name in workdirs:
        workdir = Path(name)
        inner = sorted(path.parent for path in workdir.glob("*/config.json"))
        # A folder of runs may have the name of a bundled model.
        if not inner and (file := find_file(name)) is not None:
            found.append((str(name), file.path))
            continue
        # Reading the run will tell why if it must not be read.
        if os.path.exists(workdir / "config.json") or not inner:
            found.append((str(workdir), workdir))
            continue
        for path in inner:
            # train_list creates all its run folders before it trains the first run.
            if unfinished or any(RunFolder(path).checkpoints.glob("[0-9]*")):
                found.append((str(path), path))
            else:
                report(Caution(f"{path} has no checkpoint yet, and is left out"))
        if not found:
            raise InputError(f"no run in {workdir} has a checkpoint yet; wait for the first")
    paths = [path.resolve() for _, path in found]
    for (place, _), path in zip(found, paths, strict=True):
        if paths.count(path) > 1:
            raise InputError(f"{place} was given more than once")
    # A downloaded file is a link to another name; the folder "." has no name of its own.
    names = [
        path.name if path.is_dir() else Path(place).name
        for (place, _), path in zip(found, paths, strict=True)
    ]
    return {
        name if names.count(name) == 1 else place: place
        for name, (place, _) in zip(names, found, strict=True)
    }


def facts_at(place: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Read the config and the facts about the data of the run at a place.

    Raises:
        InputError: if they cannot be read.
    """
    if (file := find_file(place)) is not None:
        run = read_file(*file)
        return run.config, run.data
    folder = RunFolder(place)
    return folder.config(), folder.data()


def gather(
    name: str, run: Run, split: str, *, batch_size: int, whole: bool, report: Report = only_warnings
) -> ComparedRun:
    """Collect the results in the folder of a run, and measure those that are missing.

    A run from a file is measured anew, because its kernels may be rounded.

    Args:
        name: the name of the run.
        run: the run, with the averaged weights of its best checkpoint.
        split: "test" or "validation".
        batch_size: the number of images to measure at once.
        whole: return all results on the split. If False, the test nats that a pixel run recorded at
            its end are enough.
        report: receives the progress.

    Raises:
        InputError: if the data of the run cannot be read.
    """
    run.check_images(split, report=report)
    folder = run.folder
    samples = cost = None
    if folder is not None:
        samples = folder.kept_evaluation(f"{split}_samples", OF_SAMPLES, report)
        cost = folder.kept_evaluation("cost", COSTS, report)
    data = run.data
    return ComparedRun(
        name=name,
        place=run.place,
        config=run.config,
        group=(
            run.task,
            data_identity(data),
            tuple(data["shape"]),
            data["symbols"][split],
            data["splits"][split]["description"],
            data.get("tokenizer", "")[:16],
        ),
        num_parameters=sum(w.size for w in jax.tree.leaves(nnx.state(run.model, nnx.Param))),
        training=training_of(
            run.metrics, run.config["batch_size"], f"validation_{HEADLINES[run.task][0]}"
        ),
        measured=_measured(run, split, batch_size, whole, report),
        samples=samples if _is_of(samples, run) else None,
        cost=cost,
    )


def draw(run: Run) -> Drawn:
    """Draw samples of a pixel model, time the sampling, and measure the receptive field on them."""
    timing = time_sampling(run.model)
    samples = np.asarray(timing.result.grids)
    field = None
    if isinstance(run.model, AutoregressiveModel):
        field = field_of(run, jnp.asarray(samples[:FIELD_IMAGES]))
    return Drawn(samples[:SHOWN], DRAWN / timing.median, field, run.model.grid.levels)


def row(compared: ComparedRun, drawn: Drawn) -> Row:
    """Make the row of a pixel model in the table."""
    given = ", class-conditional" if compared.config["class_conditional"] else ""
    return Row(
        run=compared.name,
        model=f"{compared.config['model']['name']}{given}",
        parameters=compared.num_parameters,
        training=compared.training,
        num_steps=compared.config["num_steps"],
        nats=compared.measured["nats"],
        bits_per_dim=compared.measured["bits_per_dim"],
        samples_per_second=drawn.samples_per_second,
    )


def _measured(
    run: Run, split: str, batch_size: int, whole: bool, report: Report
) -> Mapping[str, Any]:
    folder = run.folder
    if folder is not None:
        kept = folder.kept_evaluation(split, ON_SPLIT[run.task], report)
        if kept is not None and _is_of(kept, run):
            return kept
        recorded = recorded_test(run.metrics) if split == "test" and not whole else None
        if recorded is not None:
            return dict(zip(("nats", "bits_per_dim"), recorded, strict=True))
    result, _ = measure(run, hold(run, split, batch_size, report), baselines=False)
    if folder is not None:
        folder.keep_evaluation(split, result, report)
    return result


def _is_of(kept: Mapping[str, Any] | None, run: Run) -> bool:
    """Check that a kept result was measured with these weights, on the images of the run."""
    return (
        kept is not None
        and kept.get("weights") == run.provenance
        and kept.get("contents", "") == run.data["contents"]
    )

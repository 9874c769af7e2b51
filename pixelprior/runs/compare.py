"""Comparison of runs: the results of each, and samples of its model.

Legend: n images, h height, w width, c channels.
"""

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
        folder: the folder of the run.
        config: the config of the run.
        group: the task, the data and the tokenizer. Only runs of equal groups can be ranked.
        num_parameters: the number of trained weights.
        training: see `Training`.
        measured: results on the split: all of them, or at least the headline.
        samples: results of samples, if they were judged before.
        cost: the costs, if they were measured before.
    """

    name: str
    folder: Path
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


def run_folders(
    workdirs: Sequence[str | Path], *, unfinished: bool = False, report: Report = only_warnings
) -> dict[str, RunFolder]:
    """Find the runs in these folders. Runs in a folder of runs need a checkpoint.

    The keys of the result are the names of the run folders. If two names are equal, the keys are
    their paths.

    Args:
        workdirs: run folders, or folders of run folders.
        unfinished: also return runs without a checkpoint.
        report: receives a caution for each run that is left out.

    Raises:
        InputError: if there is no run, or a run was given twice.
    """
    if not workdirs:
        raise InputError("--compare needs run folders, as in evaluate.py --compare runs/a runs/b")
    folders = []
    for name in workdirs:
        # A folder of runs may have the name of a bundled model.
        if not Path(name).is_dir() and (file := find_file(name)) is not None:
            raise InputError(
                f"--compare is of run folders, and {file.name} is an exported file; leave it "
                "out, or measure it with --workdir"
            )
        workdir = Path(name)
        inner = sorted(path.parent for path in workdir.glob("*/config.json"))
        if (workdir / "config.json").exists() or not inner:
            folders.append(RunFolder(workdir))
            continue
        for path in inner:
            folder = RunFolder(path)
            # train_list creates all its run folders before it trains the first run.
            if unfinished or any(folder.checkpoints.glob("[0-9]*")):
                folders.append(folder)
            else:
                report(Caution(f"{path} has no checkpoint yet, and is left out"))
        if not folders:
            raise InputError(f"no run in {workdir} has a checkpoint yet; wait for the first")
    places = [folder.path.resolve() for folder in folders]
    for folder, place in zip(folders, places, strict=True):
        if places.count(place) > 1:
            raise InputError(f"{folder.path} was given more than once")
    names = [folder.path.resolve().name for folder in folders]
    return {
        name if names.count(name) == 1 else str(folder.path): folder
        for name, folder in zip(names, folders, strict=True)
    }


def gather(
    name: str, run: Run, split: str, *, batch_size: int, whole: bool, report: Report = only_warnings
) -> ComparedRun:
    """Collect the results in the folder of a run, and measure those that are missing.

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
    assert run.folder is not None
    run.check_images(split, report=report)
    samples = run.folder.kept_evaluation(f"{split}_samples")
    data = run.data
    return ComparedRun(
        name=name,
        folder=run.folder.path,
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
        measured=_measured(run, run.folder, split, batch_size, whole, report),
        samples=samples if _is_of(samples, run) else None,
        cost=run.folder.kept_evaluation("cost"),
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
    run: Run, folder: RunFolder, split: str, batch_size: int, whole: bool, report: Report
) -> Mapping[str, Any]:
    kept = folder.kept_evaluation(split)
    if kept is not None and _is_of(kept, run):
        return kept
    recorded = recorded_test(run.metrics) if split == "test" and not whole else None
    if recorded is not None:
        return dict(zip(("nats", "bits_per_dim"), recorded, strict=True))
    result, _ = measure(run, hold(run, split, batch_size, report), baselines=False)
    folder.keep_evaluation(split, result, report)
    return result


def _is_of(kept: Mapping[str, Any] | None, run: Run) -> bool:
    """Check that a kept result was measured with these weights, on the images of the run."""
    return (
        kept is not None
        and kept.get("weights") == run.provenance
        and kept.get("contents", "") == run.data["contents"]
    )

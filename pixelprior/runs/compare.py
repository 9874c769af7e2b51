"""Runs side by side: the figures of each, and what is drawn of it.

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
from pixelprior.models.base import AutoregressiveModel
from pixelprior.progress import Caution, Report, only_warnings
from pixelprior.runs.cost import DRAWN, time_sampling
from pixelprior.runs.evaluate.evaluation import hold, measure
from pixelprior.runs.receptive_field import field_of
from pixelprior.runs.run import Run
from pixelprior.training.run_folder import RunFolder

SHOWN = 12  # samples of each run in the picture
FIELD_IMAGES = 16  # samples that a receptive field is averaged over

HEADLINES = {
    "pixels": ("nats", "nats/image"),
    "tokenizer": ("squared_error", "squared error"),
    "prior": ("nats", "nats/image"),
}
"""For each task the figure that ranks its runs, the lower the better, and its name for people."""


class ComparedRun(NamedTuple):
    """The figures of a run.

    Attributes:
        name: the name of the run.
        folder: its folder.
        config: the experiment.
        group: the task, the data and the tokenizer, which runs must share to be ranked.
        num_parameters: the number of trained weights.
        training: see `Training`.
        measured: figures of the split: all of them, or the headline alone.
        samples: figures of samples, if they were judged before.
        cost: the cost, if it was measured before.
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
        """Figure that ranks the run."""
        return self.measured[HEADLINES[self.task][0]]


class Drawn(NamedTuple):
    """Samples and receptive field of a model of pixels.

    Attributes:
        samples: the first samples of a batch.
        samples_per_second: the speed of the sampler, once it is compiled.
        field: the receptive field of the centre; None for models in another order than raster.
        levels: the values per symbol.
    """

    samples: Int[np.ndarray, "n h w c"]
    samples_per_second: float
    field: Float[np.ndarray, "h w"] | None
    levels: int


def run_folders(
    workdirs: Sequence[str | Path], *, unfinished: bool = False, report: Report = only_warnings
) -> dict[str, RunFolder]:
    """Find the runs in these folders; in a folder of runs, those that can be read already.

    Their keys are the names of their folders, or whole paths where two have the same name.

    Args:
        workdirs: run folders, or folders of such.
        unfinished: return the runs too that have no checkpoint yet.
        report: told of the runs that are left out.

    Raises:
        InputError: if there is no run, or one was given twice.
    """
    if not workdirs:
        raise InputError("--compare needs run folders, as in evaluate.py --compare runs/a runs/b")
    folders = []
    for workdir in map(Path, workdirs):
        inner = sorted(path.parent for path in workdir.glob("*/config.json"))
        if (workdir / "config.json").exists() or not inner:
            folders.append(RunFolder(workdir))
            continue
        for path in inner:
            folder = RunFolder(path)
            # Made for the whole list before its first run is trained.
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
    """Gather the figures of a run in a folder, and measure those that are not kept there.

    Args:
        name: the name of the run.
        run: the run, with the averaged weights of its best checkpoint.
        split: "test" or "validation".
        batch_size: the number of images to measure at once.
        whole: measure all figures of the split. Otherwise the nats that a run of pixels recorded at
            its end will do.
        report: told of the progress.

    Raises:
        InputError: if the data of the run cannot be read.
    """
    assert run.folder is not None
    samples = run.folder.kept_evaluation(f"{split}_samples")
    data = run.data
    return ComparedRun(
        name=name,
        folder=run.folder.path,
        config=run.config,
        group=(
            run.task,
            data["name"],
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
        samples=samples if _of_these_weights(samples, run) else None,
        cost=run.folder.kept_evaluation("cost"),
    )


def draw(run: Run) -> Drawn:
    """Draw samples of a model of pixels, and time it; measure its receptive field on them."""
    timing = time_sampling(run.model)
    samples = np.asarray(timing.result.grids)
    field = None
    if isinstance(run.model, AutoregressiveModel):
        field = field_of(run, jnp.asarray(samples[:FIELD_IMAGES]))
    return Drawn(samples[:SHOWN], DRAWN / timing.median, field, run.model.grid.levels)


def row(compared: ComparedRun, drawn: Drawn) -> Row:
    """Make the row of a model of pixels in the table."""
    given = ", given classes" if compared.config["class_conditional"] else ""
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
    if kept is not None and _of_these_weights(kept, run):
        return kept
    recorded = recorded_test(run.metrics) if split == "test" and not whole else None
    if recorded is not None:
        return dict(zip(("nats", "bits_per_dim"), recorded, strict=True))
    result, _ = measure(run, hold(run, split, batch_size), baselines=False)
    folder.keep_evaluation(split, result, report)
    return result


def _of_these_weights(kept: Mapping[str, Any] | None, run: Run) -> bool:
    return kept is not None and kept.get("weights") == run.provenance

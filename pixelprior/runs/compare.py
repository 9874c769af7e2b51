"""Comparison of runs: their places, and samples of their models.

Legend: n images, h height, w width, c channels.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from pixelprior.errors import InputError
from pixelprior.evaluation.comparison import Row
from pixelprior.experiment.conditioning import conditioning_in_words
from pixelprior.models.base import AutoregressiveModel
from pixelprior.progress import Caution, Report, only_warnings
from pixelprior.runs.compared import ComparedRun
from pixelprior.runs.conditions import Conditions
from pixelprior.runs.cost import DRAWN, time_sampling
from pixelprior.runs.one_file.read import read_file
from pixelprior.runs.receptive_field import field_of
from pixelprior.runs.run import Run
from pixelprior.runs.source import find_file
from pixelprior.training.run_folder import RunFolder

SHOWN = 12  # number of samples of each run in the picture
FIELD_IMAGES = 16  # number of samples over which a receptive field is averaged


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


def draw(run: Run) -> Drawn:
    """Draw samples of a pixel model, time the sampling, and measure the receptive field on them."""
    timing = time_sampling(run.model, Conditions(run, None, {})(np.arange(DRAWN)))
    samples = np.asarray(timing.result.grids)
    field = None
    if isinstance(run.model, AutoregressiveModel):
        field = field_of(run, jnp.asarray(samples[:FIELD_IMAGES]))
    return Drawn(samples[:SHOWN], DRAWN / timing.median, field, run.model.grid.levels)


def row(compared: ComparedRun, drawn: Drawn) -> Row:
    """Make the row of a pixel model in the table."""
    # The run that was drawn from has its weights.
    assert compared.num_parameters is not None
    conditioning = conditioning_in_words(compared.config)
    given = f", {conditioning}" if conditioning else ""
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

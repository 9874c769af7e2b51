"""Training a run from a config, in a folder."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax

from pixelprior.data import Dataset, Symbols
from pixelprior.data.dataset import SPLITS
from pixelprior.errors import InputError
from pixelprior.experiment import (
    SAME_PLACE,
    Config,
    Place,
    at_place,
    check_config,
    complete,
    open_data,
    reopen_data,
)
from pixelprior.experiment.schema import without_place
from pixelprior.progress import Report, only_warnings
from pixelprior.runs.gradient_parts import settle_parts
from pixelprior.runs.initial_weights import Source, start_from
from pixelprior.runs.prior_task import open_prior_task
from pixelprior.runs.run import Run
from pixelprior.runs.tokenizer import TokenizerRun, carry
from pixelprior.system.devices import data_mesh
from pixelprior.system.processes import first_then_others, is_first, is_the_same_everywhere
from pixelprior.training.loop import TrainResult, train
from pixelprior.training.plan import Plan, make_plan
from pixelprior.training.profile import Profile, Steps
from pixelprior.training.run_folder import RunFolder
from pixelprior.training.store import FolderStore
from pixelprior.training.task import Task
from pixelprior.training.tasks import PixelTask, TokenizerTask
from pixelprior.training.wandb_run import check_wandb


def train_run(
    config: Config,
    workdir: str | Path,
    *,
    tokenizer: str | Path | Run | None = None,
    prior: str | Path | None = None,
    init_from: Source | None = None,
    profiled: Steps | None = None,
    wandb_project: str | None = None,
    place: Place = SAME_PLACE,
    report: Report = only_warnings,
) -> TrainResult:
    """Train an experiment in a folder, or resume it where it was interrupted.

    Args:
        config: see `pixelprior.experiment.TASKS`; a dict or a ``ConfigDict``.
        workdir: the run folder; created if missing.
        tokenizer: the run of the tokenizer for a new prior, or its folder. A resumed prior has its
            own tokenizer.
        prior: the run that trained the other levels, if this prior trains only some levels.
        init_from: the run, the file or the model whose weights a new run starts from; see
            `initial_weights`. A resumed run does not read it.
        profiled: the steps to trace; the trace is written to the run folder.
        wandb_project: the project of Weights & Biases that receives the records; None for none.
        place: the place of the data, if they have moved.
        report: receives the progress.

    Raises:
        InputError: if config, data or folders cannot be used.
        NonFiniteLossError: if training diverges; the last good checkpoint stays.
        CheckpointError: if there are checkpoints, but none can be read.
    """
    mesh, folder = data_mesh(), RunFolder(workdir)
    settings = at_place(complete(config), place)
    if wandb_project is not None:
        check_wandb()
    task, run = open_task(settings, folder, mesh, tokenizer, prior, place=place, report=report)
    if init_from is not None:
        start_from(task, init_from, folder, report)
    settings = settle_parts(settings, task, folder, mesh)
    with claimed(task, settings, folder, run, report):
        return train_in_folder(
            task,
            settings,
            folder,
            mesh,
            profiled=profiled,
            wandb_project=wandb_project,
            report=report,
        )


def train_in_folder(
    task: Task,
    config: Mapping[str, Any],
    folder: RunFolder,
    mesh: jax.sharding.Mesh,
    *,
    profiled: Steps | None = None,
    wandb_project: str | None = None,
    report: Report = only_warnings,
) -> TrainResult:
    """Train a task in its claimed folder. Arguments and errors are those of `train_run`."""
    profile = None
    if profiled is not None and is_first():
        profile = Profile(folder.path / "profile", profiled, report)
    store = FolderStore(folder, config, wandb_project=wandb_project, report=report)
    return train(task, config, store, mesh, profile=profile, report=report)


def plan_run(
    config: Config,
    workdir: str | Path | None = None,
    *,
    tokenizer: str | Path | None = None,
    prior: str | Path | None = None,
    place: Place = SAME_PLACE,
    report: Report = only_warnings,
) -> Plan:
    """Compute the needs of an experiment. Nothing is trained, and no folder is claimed.

    Arguments and errors are those of `train_run`. A folder is needed only to resume a prior.
    """
    mesh, settings = data_mesh(), at_place(complete(config), place)
    folder = None if workdir is None else RunFolder(workdir)
    task, _ = open_task(settings, folder, mesh, tokenizer, prior, place=place, report=report)
    return make_plan(task, settle_parts(settings, task, folder, mesh), mesh)


@contextlib.contextmanager
def claimed(
    task: Task,
    config: Mapping[str, Any],
    folder: RunFolder,
    run: TokenizerRun | None,
    report: Report = only_warnings,
) -> Iterator[None]:
    """Hold a run folder for a task for the duration of the body.

    The folder of a prior gets a copy of its tokenizer.

    Raises:
        InputError: if another process trains there, the processes of a job have different configs,
            the folder belongs to another run, or it cannot be written. In this case nothing is
            written.
    """
    if not is_the_same_everywhere(json.dumps(without_place(config), sort_keys=True)):
        raise InputError(
            "the processes of this job have different configs; give all of them the same flags"
        )
    # Trace the model without computing it, so that impossible configs fail before any file is
    # written.
    jax.eval_shape(lambda: (task.make(), None)[1])
    with contextlib.ExitStack() as stack:
        with first_then_others():
            if is_first():
                stack.enter_context(folder.held())
            folder.claim(config, task.describe(), task.manifest, report)
            if run is not None:
                carry(run, folder.tokenizer)
        yield


def open_task(
    config: Mapping[str, Any],
    folder: RunFolder | None,
    mesh: jax.sharding.Mesh,
    tokenizer: str | Path | Run | None = None,
    prior: str | Path | None = None,
    *,
    place: Place = SAME_PLACE,
    report: Report = only_warnings,
) -> tuple[Task, TokenizerRun | None]:
    """Build the task of a run; for a prior also open its tokenizer. See `train_run` for arguments.

    Raises:
        InputError: if config, data or folders cannot be used.
    """
    with first_then_others():
        check_config(config)
        if config["task"] == "compare":
            raise InputError("a config of several runs is for train_list; this trains one of them")
        if config["task"] != "prior":
            for flag, value in (("tokenizer", tokenizer), ("prior", prior)):
                if value is not None:
                    raise InputError(
                        f"--{flag} is for training a prior, but the config's task is "
                        f"{config['task']!r}"
                    )
            opened = open_images(config, folder, report)
            kind = PixelTask if config["task"] == "pixels" else TokenizerTask
            task: PixelTask | TokenizerTask = kind(config, mesh, opened=opened)
            task.images.check_symbols(report)
            return task, None
    # Outside of first_then_others, because all processes read these checkpoints together.
    return open_prior_task(config, folder, tokenizer, prior, mesh, place=place, report=report)


def open_images(
    config: Mapping[str, Any], folder: RunFolder | None, report: Report
) -> tuple[Dataset, Symbols]:
    """Open the training data of a run, new or resumed.

    Raises:
        InputError: if there is no such data, or a resumed run was begun on other data.
    """
    if folder is None or not folder.has_checkpoint:
        return open_data(config, report=report)[:2]
    # Other symbols, for example, would look like other data.
    folder.check_identity(config)
    dataset, symbols = reopen_data(config, folder.data(), folder.manifest(), report)
    dataset.check_unchanged(*SPLITS)
    return dataset, symbols

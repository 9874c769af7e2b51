"""What ``train.py`` does: from a config and a folder to something trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from pixelprior.errors import InputError
from pixelprior.experiment import check_config
from pixelprior.runs.prior_task import open_prior_task
from pixelprior.runs.tokenizer import TokenizerRun, carry
from pixelprior.system.devices import data_mesh
from pixelprior.system.processes import first_then_others
from pixelprior.training.loop import TrainResult, train
from pixelprior.training.plan import Plan, make_plan
from pixelprior.training.profile import Steps
from pixelprior.training.run_folder import RunFolder
from pixelprior.training.task import Task
from pixelprior.training.tasks import PixelTask, TokenizerTask
from pixelprior.training.wandb_run import check_wandb


def train_run(
    config: Mapping[str, Any],
    workdir: str | Path,
    *,
    tokenizer: str | Path | None = None,
    prior: str | Path | None = None,
    profiled: Steps | None = None,
    wandb_project: str | None = None,
) -> TrainResult:
    """Runs an experiment, or goes on with it where it was interrupted.

    Args:
        config: see `pixelprior.experiment.TASKS`.
        workdir: the run folder; made if it is not there.
        tokenizer: for a prior, the run folder of the tokenizer; not needed to go on with one.
        prior: for a prior that trains some levels only, the run that trained the others.
        profiled: the steps to be traced, into the run folder.
        wandb_project: of Weights & Biases, to be told what is recorded; None for none.

    Raises:
        InputError: if config, data or folders cannot be used.
        NonFiniteLossError: if training diverges; the last good checkpoint stays.
        CheckpointError: if there are checkpoints but none can be read.
    """
    mesh, folder, config = data_mesh(), RunFolder(workdir), dict(config)
    if wandb_project is not None:
        check_wandb()
    task = claim_run(config, folder, mesh, tokenizer=tokenizer, prior=prior)
    return train(task, config, folder, mesh, profiled=profiled, wandb_project=wandb_project)


def plan_run(
    config: Mapping[str, Any],
    workdir: str | Path | None = None,
    *,
    tokenizer: str | Path | None = None,
    prior: str | Path | None = None,
) -> Plan:
    """What an experiment will need; trains nothing, and claims no folder.

    Arguments and errors as for `train_run`; a folder is needed only to go on with a prior.
    """
    mesh, folder = data_mesh(), None if workdir is None else RunFolder(workdir)
    task, _ = open_task(config, folder, mesh, tokenizer, prior)
    return make_plan(task, config, mesh)


def claim_run(
    config: Mapping[str, Any],
    folder: RunFolder,
    mesh: jax.sharding.Mesh,
    *,
    tokenizer: str | Path | None = None,
    prior: str | Path | None = None,
) -> Task:
    """What a run trains, with its folder claimed for it. Arguments as for `train_run`.

    Raises:
        InputError: if config, data or folders cannot be used; nothing but codes is written then.
    """
    task, run = open_task(config, folder, mesh, tokenizer, prior)
    # Only traced: whatever a config asks for in vain is refused before anything is written.
    jax.eval_shape(lambda: (task.make(), None)[1])
    with first_then_others():
        folder.claim(config, task.describe())
        if run is not None:
            carry(run, folder.tokenizer)
    return task


def open_task(
    config: Mapping[str, Any],
    folder: RunFolder | None,
    mesh: jax.sharding.Mesh,
    tokenizer: str | Path | None = None,
    prior: str | Path | None = None,
) -> tuple[Task, TokenizerRun | None]:
    """What a run trains; and of a prior, the run of its tokenizer. Arguments as for `train_run`.

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
            return (PixelTask if config["task"] == "pixels" else TokenizerTask)(config, mesh), None
    # Not in there: its checkpoints are read by all processes together.
    return open_prior_task(config, folder, tokenizer, prior, mesh)

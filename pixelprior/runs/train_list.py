"""Training a list of runs in turn, each in its own folder."""

import contextlib
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from pixelprior.errors import InputError
from pixelprior.experiment import SAME_PLACE, Config, Place, at_place, check_config, complete
from pixelprior.experiment.plain import plain
from pixelprior.progress import Caution, Message, Report, only_warnings
from pixelprior.runs.gradient_parts import settle_parts
from pixelprior.runs.train import claimed, open_task, plan_run, train_in_folder
from pixelprior.system.devices import data_mesh
from pixelprior.system.processes import several
from pixelprior.training.metrics import read_metrics
from pixelprior.training.plan import Plan
from pixelprior.training.run_folder import RunFolder
from pixelprior.training.task import Task
from pixelprior.training.wandb_run import check_wandb


def train_list(
    config: Config,
    workdir: str | Path,
    *,
    only: Sequence[str] | None = None,
    wandb_project: str | None = None,
    place: Place = SAME_PLACE,
    report: Report = only_warnings,
) -> int | None:
    """Train or resume the runs of a config. The folder of run NAME is ``workdir/NAME``.

    All runs are checked before the first one is trained. Complete runs are skipped. If a run fails,
    the other runs are still trained.

    Args:
        config: a config of the task "compare"; see `pixelprior.experiment.TASKS`.
        workdir: the folder of the run folders; created if missing.
        only: the names of the runs to train; None for all.
        wandb_project: the project of Weights & Biases that receives the records; None for none.
        place: the place of the data, if they have moved.
        report: receives the progress. A failed run gives a caution. If the user did not cause the
            error, a message has its traceback.

    Returns:
        The signal that ended the training early, or None. The same call resumes it.

    Raises:
        InputError: if a config, the data or a folder cannot be used. If a run fails, it is raised
            after all other runs are trained.
    """
    runs = {name: at_place(run, place) for name, run in _runs(config, only).items()}
    mesh = data_mesh()
    folders = {name: RunFolder(Path(workdir) / name) for name in runs}
    tasks = {}
    if wandb_project is not None:
        check_wandb()
    with contextlib.ExitStack() as held:
        for name, run in runs.items():
            try:
                tasks[name], tokenizer = open_task(run, folders[name], mesh, report=report)
                runs[name] = settle_parts(run, tasks[name], folders[name], mesh)
                claim = claimed(tasks[name], runs[name], folders[name], tokenizer, report)
                held.enter_context(claim)
            except InputError as error:
                raise InputError(f"{name}: {error}") from error
        return _train_in_turn(runs, folders, tasks, mesh, wandb_project, report)


def _train_in_turn(
    runs: Mapping[str, Mapping[str, Any]],
    folders: Mapping[str, RunFolder],
    tasks: dict[str, Task],
    mesh: jax.sharding.Mesh,
    wandb_project: str | None,
    report: Report,
) -> int | None:
    """Train the runs in their claimed folders. Results and errors are those of `train_list`."""
    failures: dict[str, Exception] = {}
    for number, (name, run) in enumerate(runs.items(), 1):
        title = f"{name}, run {number} of {len(runs)}"
        # Remove the task from the dict, so that finished runs free their data and programs.
        task = tasks.pop(name)
        if _is_complete(folders[name]) and not folders[name].changes(run):
            report(Message(f"{title}: complete, left alone"))
            continue
        report(Message(f"{title}: in {folders[name].path}"))
        try:
            result = train_in_folder(
                task, run, folders[name], mesh, wandb_project=wandb_project, report=report
            )
        except Exception as error:
            if several():
                # The other processes may not have failed, and would wait for this one.
                raise
            # Only errors of the user are reported without a traceback, as for a single run.
            if not isinstance(error, InputError):
                report(Message(traceback.format_exc()))
            failures[name] = error
            report(Caution(f"{name} failed: {error}"))
        else:
            if result.stopped_by is not None:
                return result.stopped_by
    if failures:
        reasons = "; ".join(f"{name} ({_in_short(error)})" for name, error in failures.items())
        raise InputError(
            f"{len(failures)} of {len(runs)} runs failed: {reasons}. The others are complete"
        )
    return None


def plan_list(
    config: Config, *, only: Sequence[str] | None = None, place: Place = SAME_PLACE
) -> Iterator[tuple[str, Plan]]:
    """Yield the name and the plan of each run in turn; see `plan_run`.

    Raises:
        InputError: if the config cannot be used. The data of a run is opened only for its plan.
    """
    for name, run in _runs(config, only).items():
        yield name, plan_run(run, place=place)


def _runs(config: Config, only: Sequence[str] | None) -> dict[str, dict[str, Any]]:
    """Check the config, and return the configs of the runs to train, by name."""
    config = plain(config)
    if config.get("task") != "compare":
        raise InputError(f"only a list of runs can be trained as one, got {config.get('task')!r}")
    if only is not None and isinstance(config.get("runs"), Mapping):
        config = {**config, "runs": _chosen(config["runs"], only)}
    config = complete(config)
    check_config(config)
    return {name: dict(run) for name, run in config["runs"].items()}


def _chosen(runs: Mapping[str, Any], only: Sequence[str]) -> dict[str, Any]:
    """Select the runs with these names, in the order of the config."""
    unknown = [name for name in only if name not in runs]
    if unknown:
        raise InputError(
            f"--only names runs of the config, which are {', '.join(runs)}; got {unknown[0]!r}"
        )
    if not only:
        raise InputError("--only must name at least one run of the config")
    return {name: run for name, run in runs.items() if name in only}


def _is_complete(folder: RunFolder) -> bool:
    """True if a run has been tested. The test is the end of a run."""
    records = read_metrics(folder.metrics)
    return bool(records) and "best_step" in records[-1]


def _in_short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__

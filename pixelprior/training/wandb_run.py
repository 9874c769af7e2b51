"""A run for Weights & Biases, for those who ask for it and have installed it."""

import secrets
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pixelprior.errors import InputError
from pixelprior.system.atomic import write_atomically
from pixelprior.training.run_folder import RunFolder


def check_wandb() -> None:
    """Raises an InputError unless the package is installed."""
    if find_spec("wandb") is None:
        raise InputError('--wandb needs its package: pip install "pixelprior[wandb]"')


class WandbRun:
    """Sends what a run records; its environment variables decide where to, or that it only writes.

    A run that goes on after an interruption goes on there as well.

    Args:
        folder: of the run; what is written goes into it.
        project: that the run belongs to.
        config: of the run.

    Raises:
        InputError: if it cannot be begun.
    """

    def __init__(self, folder: RunFolder, project: str, config: Mapping[str, Any]):
        check_wandb()
        import wandb

        self._wandb = wandb
        try:
            self._run = wandb.init(
                project=project,
                id=_run_id(folder.path / "wandb"),
                resume="allow",
                name=folder.path.resolve().name,
                dir=str(folder.path),
                config=dict(config),
                settings=wandb.Settings(silent=True, console="off"),
            )
        # The second is for a variable of its environment that has a wrong value.
        except (wandb.errors.Error, ValueError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise InputError(
                f"Weights & Biases: {reason}. Or set WANDB_MODE=offline, "
                "and send the run later with `wandb sync`"
            ) from error
        # By our own steps: its own can only grow, and a resumed run takes some of them again.
        self._run.define_metric("*", step_metric="step")

    def close(self, *, failed: bool) -> None:
        """Returns when all is sent, or written."""
        self._run.finish(exit_code=int(failed))

    def write(self, step: int, **values: Any) -> None:
        """Adds a record."""
        self._run.log({"step": step, **values})

    def picture(self, step: int, path: Path) -> None:
        """Adds a picture that lies on disk."""
        self._run.log({"step": step, "samples": self._wandb.Image(str(path))})


def _run_id(folder: Path) -> str:
    """The one that the run was begun with, or a new one."""
    path = folder / "run_id"
    if not path.exists():
        folder.mkdir(exist_ok=True)
        write_atomically(path, secrets.token_hex(4))
    return path.read_text()

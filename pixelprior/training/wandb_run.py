"""Records of a run for Weights & Biases, if requested and installed."""

import secrets
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pixelprior.errors import InputError
from pixelprior.system.atomic import write_atomically
from pixelprior.training.run_folder import RunFolder


def check_wandb() -> None:
    """Raise an InputError unless the package is installed."""
    if find_spec("wandb") is None:
        raise InputError('--wandb needs its package: pip install "pixelprior[wandb]"')


class WandbRun:
    """Sender of a run's records to Weights & Biases.

    Its environment variables select the server, or writing to disk only. A run that resumes after
    an interruption also resumes there.

    Args:
        folder: the run folder; files of Weights & Biases go into it.
        project: name of the project.
        config: config of the run.

    Raises:
        InputError: if the run cannot be started there.
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
                settings=wandb.Settings(silent=True, console="off"),
            )
        # ValueError: one of its environment variables has a wrong value.
        except (wandb.errors.Error, ValueError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise InputError(
                f"Weights & Biases: {reason}. Or set WANDB_MODE=offline, "
                "and send the run later with `wandb sync`"
            ) from error
        # A resumed run may have changed some keys.
        self._run.config.update(dict(config), allow_val_change=True)
        # By our own steps: its own can only grow, and a resumed run repeats some steps.
        self._run.define_metric("*", step_metric="step")

    def close(self, *, failed: bool) -> None:
        """Wait until everything is sent, or written."""
        self._run.finish(exit_code=int(failed))

    def write(self, step: int, **values: Any) -> None:
        """Add a record."""
        self._run.log({"step": step, **values})

    def picture(self, step: int, path: Path) -> None:
        """Add a picture from a file."""
        self._run.log({"step": step, "samples": self._wandb.Image(str(path))})


def _run_id(folder: Path) -> str:
    """Return the ID that the run was started with, or a new one."""
    path = folder / "run_id"
    if not path.exists():
        folder.mkdir(exist_ok=True)
        write_atomically(path, secrets.token_hex(4))
    return path.read_text()

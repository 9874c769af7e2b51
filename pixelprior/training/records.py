"""What a run leaves for whoever watches it: ``metrics.jsonl``, and the same for other programs.

Of several processes, the first one writes; what the others tell is the same.
"""

from pathlib import Path
from typing import Any

from pixelprior.system.processes import is_first
from pixelprior.training.events import EventFile
from pixelprior.training.metrics import MetricsFile
from pixelprior.training.run_folder import RunFolder
from pixelprior.training.wandb_run import WandbRun


class Records:
    """Writes the records of a run.

    Args:
        folder: of the run.
        resume_step: the step that it goes on after; what was recorded later is forgotten.
        wandb: of the run, to be told the same; None for none.
    """

    def __init__(self, folder: RunFolder, *, resume_step: int, wandb: WandbRun | None = None):
        self._writes = is_first()
        if self._writes:
            self._metrics = MetricsFile(folder.metrics, resume_step=resume_step)
            self._events = EventFile(folder.events, resume_step=resume_step)
        self._wandb = wandb

    def close(self) -> None:
        """Write what is not on disk yet."""
        if self._writes:
            self._events.close()

    def write(self, step: int, **values: Any) -> None:
        """Adds one record."""
        if self._writes:
            self._metrics.write(step, **values)
            self._events.write(step, **values)
        if self._wandb is not None:
            self._wandb.write(step, **values)

    def picture(self, step: int, path: Path) -> None:
        """Adds a picture that lies on disk; none if it is not there."""
        if self._writes and path.exists():
            self._events.picture(step, path)
            if self._wandb is not None:
                self._wandb.picture(step, path)

"""Records of a run: ``metrics.jsonl``, and the same values for other programs.

With several processes, only the first one writes; all have the same values.
"""

from pathlib import Path
from typing import Any

from pixelprior.progress import Report, only_warnings
from pixelprior.system.processes import is_first
from pixelprior.training.events import EventFile
from pixelprior.training.metrics import MetricsFile
from pixelprior.training.run_folder import RunFolder
from pixelprior.training.wandb_run import WandbRun


class Records:
    """Writer of a run's records.

    Args:
        folder: the run folder.
        resume_step: step after which the run resumes; later records are dropped.
        wandb: receives the same records; None for none.
        report: receives a caution if earlier records are damaged.
    """

    def __init__(
        self,
        folder: RunFolder,
        *,
        resume_step: int,
        wandb: WandbRun | None = None,
        report: Report = only_warnings,
    ):
        self._writes = is_first()
        if self._writes:
            self._metrics = MetricsFile(folder.metrics, resume_step=resume_step, report=report)
            self._events = EventFile(folder.events, resume_step=resume_step)
        self._wandb = wandb

    def close(self) -> None:
        """Write buffered records to disk."""
        if self._writes:
            self._events.close()

    def write(self, step: int, **values: Any) -> None:
        """Add one record."""
        if self._writes:
            self._metrics.write(step, **values)
            self._events.write(step, **values)
        if self._wandb is not None:
            self._wandb.write(step, **values)

    def picture(self, step: int, path: Path) -> None:
        """Add a picture from a file; do nothing if the file is missing."""
        if self._writes and path.exists():
            self._events.picture(step, path)
            if self._wandb is not None:
                self._wandb.picture(step, path)

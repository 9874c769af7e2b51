"""Storage of a run's states, records and pictures: a folder, or memory.

Legend: n images, h height, w width, c channels.
"""

import abc
from collections.abc import Mapping
from typing import Any, Self

import jax
import numpy as np
from jaxtyping import Float

from pixelprior.figures.sheets import save_pixels
from pixelprior.progress import Caution, Report
from pixelprior.system.processes import first_then_others, is_first
from pixelprior.training.checkpoints import Checkpoints
from pixelprior.training.metrics import losses_until, read_metrics
from pixelprior.training.records import Records
from pixelprior.training.run_folder import RunFolder
from pixelprior.training.step import TrainState
from pixelprior.training.wandb_run import WandbRun


class Store(abc.ABC):
    """Storage of everything that training produces. Use as a context manager.

    Attributes:
        takes_pictures: True if pictures are kept, so that they are worth drawing.
    """

    takes_pictures: bool

    def __enter__(self) -> Self:
        return self

    def __exit__(  # noqa: B027 - memory has nothing to finish
        self, kind: type[BaseException] | None, *_: object
    ) -> None:
        """Finish pending writes."""

    @abc.abstractmethod
    def restore_latest(self, like: TrainState) -> TrainState | None:
        """Return the latest state that can be read, or None for a new run.

        Args:
            like: the shapes of the state, and their layout on the devices.
        """

    @abc.abstractmethod
    def begin(self, resume_step: int) -> None:
        """Open the records. Records of steps after ``resume_step`` are dropped."""

    @abc.abstractmethod
    def save(self, state: TrainState, *, validation_loss: float | None = None) -> None:
        """Keep a state. It is the best one without a validation loss only if no state has one."""

    @abc.abstractmethod
    def wait(self) -> None:
        """Return once everything saved is safe."""

    @abc.abstractmethod
    def best(self, like: Any) -> tuple[int, Any]:
        """Return the step of the lowest validation loss, and the averaged weights there."""

    @abc.abstractmethod
    def write(self, step: int, **values: Any) -> None:
        """Add one record."""

    @abc.abstractmethod
    def validation_losses(self, until: int) -> list[float]:
        """Return the recorded validation losses up to a step, in order."""

    @abc.abstractmethod
    def picture(self, step: int, pixels: Float[np.ndarray, "n h w c"]) -> None:
        """Keep images that show the progress, pixels in [0, 1]."""

    @property
    @abc.abstractmethod
    def place(self) -> str:
        """Place of the results, as a clause of a message."""

    @property
    @abc.abstractmethod
    def how_to_resume(self) -> str:
        """Instruction for resuming after an interruption, as a clause of a message."""


class FolderStore(Store):
    """Storage of a run in its folder: checkpoints through Orbax, records and pictures as files.

    Args:
        folder: the run folder, claimed for this run.
        config: config of the experiment.
        wandb_project: project of Weights & Biases that receives the records; None for none.
        report: receives a caution for each damaged checkpoint.

    Raises:
        InputError: if Weights & Biases cannot be reached.
    """

    takes_pictures = True

    def __init__(
        self,
        folder: RunFolder,
        config: Mapping[str, Any],
        *,
        wandb_project: str | None = None,
        report: Report,
    ):
        self._folder = folder
        self._report = report
        self._records: Records | None = None
        self._wandb: WandbRun | None = None
        with first_then_others():
            if wandb_project is not None and is_first():
                self._wandb = WandbRun(folder, wandb_project, config)

    def __enter__(self) -> Self:
        self._checkpoints = Checkpoints(
            self._folder.checkpoints, warn=lambda text: self._report(Caution(text))
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self._records is not None:
                self._records.close()
            if self._wandb is not None:
                self._wandb.close(failed=kind is not None)
        finally:
            self._checkpoints.close()

    def restore_latest(self, like: TrainState) -> TrainState | None:
        """See `Store.restore_latest`; raises a CheckpointError if no checkpoint can be read."""
        return self._checkpoints.restore_latest(like)

    def begin(self, resume_step: int) -> None:
        """See `Store.begin`."""
        self._records = Records(self._folder, resume_step=resume_step, wandb=self._wandb)

    def save(self, state: TrainState, *, validation_loss: float | None = None) -> None:
        """See `Store.save`."""
        self._checkpoints.save(state, validation_loss=validation_loss)

    def wait(self) -> None:
        """See `Store.wait`."""
        self._checkpoints.wait()

    def best(self, like: Any) -> tuple[int, Any]:
        """See `Store.best`."""
        step = self._checkpoints.best_step()
        assert step is not None
        return self._checkpoints.restore_weights(step, like, averaged=True)

    def write(self, step: int, **values: Any) -> None:
        """See `Store.write`."""
        assert self._records is not None
        self._records.write(step, **values)

    def validation_losses(self, until: int) -> list[float]:
        """See `Store.validation_losses`."""
        return losses_until(read_metrics(self._folder.metrics), until)

    def picture(self, step: int, pixels: Float[np.ndarray, "n h w c"]) -> None:
        """See `Store.picture`."""
        assert self._records is not None
        path = self._folder.samples / f"step_{step:07d}.png"
        save_pixels(pixels, path)
        self._records.picture(step, path)

    @property
    def place(self) -> str:
        """See `Store.place`."""
        return f"everything lies in {self._folder.path}"

    @property
    def how_to_resume(self) -> str:
        """See `Store.how_to_resume`."""
        return "run the same command to go on"


class MemoryStore(Store):
    """Storage of the best averaged weights and the records in memory.

    Attributes:
        records: the records, as `read_metrics` returns those of a folder.
    """

    takes_pictures = False

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self._kept: tuple[int, Any] | None = None
        self._lowest = float("inf")

    def restore_latest(self, like: TrainState) -> TrainState | None:
        """See `Store.restore_latest`: every run in memory is new."""
        return None

    def begin(self, resume_step: int) -> None:
        """See `Store.begin`."""

    def save(self, state: TrainState, *, validation_loss: float | None = None) -> None:
        """See `Store.save`."""
        loss = float("inf") if validation_loss is None else validation_loss
        if self._kept is None or loss < self._lowest:
            # A copy, since the next step takes over the buffers of the state. On the host, because
            # a copy on the devices would compile a program for each shape.
            self._kept = int(state.step), jax.tree.map(np.array, state.averaged)
            self._places = jax.tree.map(lambda x: x.sharding, state.averaged)
            self._lowest = loss

    def wait(self) -> None:
        """See `Store.wait`."""

    def best(self, like: Any) -> tuple[int, Any]:
        """See `Store.best`."""
        assert self._kept is not None
        step, weights = self._kept
        return step, jax.device_put(weights, self._places)

    def write(self, step: int, **values: Any) -> None:
        """See `Store.write`."""
        self.records.append({"step": step, **values})

    def validation_losses(self, until: int) -> list[float]:
        """See `Store.validation_losses`."""
        return losses_until(self.records, until)

    def picture(self, step: int, pixels: Float[np.ndarray, "n h w c"]) -> None:
        """See `Store.picture`: none is kept."""

    @property
    def place(self) -> str:
        """See `Store.place`."""
        return "everything is in memory"

    @property
    def how_to_resume(self) -> str:
        """See `Store.how_to_resume`."""
        return "a run in memory cannot be resumed"

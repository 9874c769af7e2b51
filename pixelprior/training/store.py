"""Storage of a run's states, records and pictures: a folder, or memory.

Legend: n images, h height, w width, c channels.
"""

import abc
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import jax
import numpy as np
from jaxtyping import Float

from pixelprior.data import START, Position
from pixelprior.errors import InputError
from pixelprior.experiment.differences import ChangedKeys
from pixelprior.experiment.kinds import has_same_optimizer
from pixelprior.figures.sheets import save_pixels
from pixelprior.progress import Caution, Message, Report
from pixelprior.system.processes import first_then_others, is_first
from pixelprior.training.checkpoints import CheckpointError, Checkpoints
from pixelprior.training.history import as_words, surroundings
from pixelprior.training.metrics import losses_until, read_metrics
from pixelprior.training.records import Records
from pixelprior.training.run_folder import RunFolder
from pixelprior.training.step import TrainState
from pixelprior.training.wandb_run import WandbRun


class Start(NamedTuple):
    """Start of a run, new or resumed.

    Attributes:
        position: position in the training data.
        changes: changes to the config that apply from here on.
        before: the config before these changes; None for a new run.
    """

    position: Position
    changes: ChangedKeys
    before: Mapping[str, Any] | None


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
    def begin(self, step: int, origin: Any = None) -> Start:
        """Open the records after a number of steps. Records of later steps are dropped.

        Args:
            step: number of steps taken.
            origin: description of the initial weights of a new run, if they were not random.
        """

    @abc.abstractmethod
    def save(self, state: TrainState) -> None:
        """Keep a state. Until it is rated, it is the best one only if no state is rated."""

    @abc.abstractmethod
    def rate(self, step: int, validation_loss: float) -> None:
        """Keep the validation loss of the state saved last."""

    @abc.abstractmethod
    def discard(self, step: int) -> None:
        """Remove the state saved last, whose weights are useless."""

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
    def validation_losses(self, until: int) -> dict[int, float]:
        """Return the recorded validation losses up to a step, in order, by step."""

    @abc.abstractmethod
    def has_picture(self, step: int) -> bool:
        """Return True if a picture of a step is kept."""

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
        self._config = config
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
            if self._wandb is not None:
                self._wandb.close(failed=kind is not None)
            with self._folder.writable():
                if self._records is not None:
                    self._records.close()
        except InputError:
            self._checkpoints.close(failed=True)
            if kind is None:
                raise
        else:
            self._checkpoints.close(failed=kind is not None)

    def restore_latest(self, like: TrainState) -> TrainState | None:
        """See `Store.restore_latest`; raises a CheckpointError if no checkpoint can be read."""
        if not self._folder.has_checkpoint:
            return None
        history, there = self._folder.history(), self._folder.config()

        def has_optimizer(step: int) -> bool:
            """Return True if the optimizer that took a step was like the one of now."""
            keys = ("optimizer", "schedule")
            then = {key: history.value_at(key, step, there[key]) for key in keys}
            return has_same_optimizer(then, self._config)

        try:
            return self._checkpoints.restore_latest(like, has_optimizer)
        except CheckpointError as error:
            written = history.surroundings
            if not written or written == surroundings():
                raise
            raise CheckpointError(
                f"{error}. They were written with {as_words(written)}; this is "
                f"{as_words(surroundings())}"
            ) from error

    def begin(self, step: int, origin: Any = None) -> Start:
        """See `Store.begin`."""
        before = self._folder.config() if step else None
        trained_with = self._folder.history().surroundings
        history, changes = self._folder.resume(self._config, step, origin)
        if step and trained_with and trained_with != surroundings():
            self._report(
                Message(
                    f"the run was trained with {as_words(trained_with)}, and goes on with "
                    f"{as_words(surroundings())}; its weights will be equal up to rounding"
                )
            )
        with self._folder.writable():
            self._records = Records(
                self._folder, resume_step=step, wandb=self._wandb, report=self._report
            )
        return Start(history.position(step, self._config["batch_size"]), changes, before)

    def save(self, state: TrainState) -> None:
        """See `Store.save`."""
        self._checkpoints.save(state)

    def rate(self, step: int, validation_loss: float) -> None:
        """See `Store.rate`."""
        self._checkpoints.rate(step, validation_loss)

    def discard(self, step: int) -> None:
        """See `Store.discard`."""
        self._checkpoints.discard(step)

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
        with self._folder.writable():
            self._records.write(step, **values)

    def validation_losses(self, until: int) -> dict[int, float]:
        """See `Store.validation_losses`."""
        return losses_until(read_metrics(self._folder.metrics), until)

    def has_picture(self, step: int) -> bool:
        """See `Store.has_picture`."""
        return self._picture(step).is_file()

    def _picture(self, step: int) -> Path:
        return self._folder.samples / f"step_{step:07d}.png"

    def picture(self, step: int, pixels: Float[np.ndarray, "n h w c"]) -> None:
        """See `Store.picture`."""
        assert self._records is not None
        path = self._picture(step)
        save_pixels(pixels, path)
        self._records.picture(step, path)

    @property
    def place(self) -> str:
        """See `Store.place`."""
        return f"everything is in {self._folder.path}"

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
        self._latest: tuple[int, Any] | None = None
        self._best: tuple[int, Any] | None = None
        self._lowest = float("inf")

    def restore_latest(self, like: TrainState) -> TrainState | None:
        """See `Store.restore_latest`: every run in memory is new."""
        return None

    def begin(self, step: int, origin: Any = None) -> Start:
        """See `Store.begin`."""
        return Start(START, {}, None)

    def save(self, state: TrainState) -> None:
        """See `Store.save`."""
        # A copy, since the next step takes over the buffers of the state. On the host, because a
        # copy on the devices would compile a program for each shape.
        self._latest = int(state.step), jax.tree.map(np.array, state.averaged)
        self._places = jax.tree.map(lambda x: x.sharding, state.averaged)

    def rate(self, step: int, validation_loss: float) -> None:
        """See `Store.rate`."""
        if validation_loss < self._lowest:
            self._best, self._lowest = self._latest, validation_loss

    def discard(self, step: int) -> None:
        """See `Store.discard`."""
        self._latest = None

    def wait(self) -> None:
        """See `Store.wait`."""

    def best(self, like: Any) -> tuple[int, Any]:
        """See `Store.best`."""
        kept = self._best or self._latest
        assert kept is not None
        step, weights = kept
        return step, jax.device_put(weights, self._places)

    def write(self, step: int, **values: Any) -> None:
        """See `Store.write`."""
        self.records.append({"step": step, **values})

    def validation_losses(self, until: int) -> dict[int, float]:
        """See `Store.validation_losses`."""
        return losses_until(self.records, until)

    def has_picture(self, step: int) -> bool:
        """See `Store.has_picture`."""
        return False

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

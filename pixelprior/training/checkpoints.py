"""Checkpoints through Orbax: the latest, the one before it, and the best.

All code for Orbax checkpoints is in this module. A checkpoint has three parts: ``weights``,
``averaged`` and ``optimizer``. Sampling therefore reads only the weights it needs. Their checksums
(`checksums`) are written last and read first.
"""

import contextlib
import gc
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx
from orbax.checkpoint.checkpoint_managers import preservation_policy

from pixelprior.errors import InputError
from pixelprior.system.leftovers import remove_unfinished_checkpoints
from pixelprior.system.processes import all_agree, is_first
from pixelprior.system.reasons import reason_of_system
from pixelprior.training.checkpoint_trees import (
    as_nodes,
    from_numbered,
    parts_of,
    placed,
    shapes_by_name,
)
from pixelprior.training.checksums import verify_checksums, write_checksums
from pixelprior.training.quiet import quiet_writers
from pixelprior.training.ratings import best_of, loss_files, read_loss, write_loss
from pixelprior.training.step import TrainState

_PARTS = ("weights", "averaged", "optimizer")

_one_save = threading.Lock()
"""Held while a save begins. Orbax numbers the saves of a process, and mixes up those of threads."""

_Result = TypeVar("_Result")


class CheckpointError(InputError):
    """No checkpoint of a run can be read, or one cannot be written."""


class Checkpoints:
    """Checkpoints of one run, by step. A context manager: it waits for pending writes.

    Args:
        path: folder of the checkpoints.
        warn: receives a message when a checkpoint is damaged.
    """

    def __init__(self, path: Path, *, warn: Callable[[str], None]):
        self._path = path
        self._warn = warn
        self._saving: int | None = None
        self._losses = self._read_losses()
        # No process may write a loss while others read them.
        all_agree(True)
        options = ocp.CheckpointManagerOptions(
            # A state is saved before its validation, so only this class knows the best one.
            preservation_policy=preservation_policy.PreserveAll(),
            create=True,
            async_options=ocp.AsyncOptions(post_finalization_callback=self._seal),
        )
        with contextlib.ExitStack() as quiet:
            quiet.enter_context(quiet_writers())
            # Orbax requires absolute paths.
            self._manager = ocp.CheckpointManager(path.absolute(), options=options)
            # Until `close`, but not if the folder cannot be opened.
            self._quiet = quiet.pop_all()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self, *, failed: bool = False) -> None:
        """Wait for pending writes, and release the folder.

        Args:
            failed: an error ends the run already, so further errors are ignored.

        Raises:
            CheckpointError: if something cannot be written.
        """
        broken = failed
        try:
            self.wait()
            with self._writing():
                self._manager.close()
        except CheckpointError:
            broken = True
            if not failed:
                raise
        finally:
            # Parts of a failed write that are still pending would report themselves later. A
            # collection may take seconds, so a good end does without one.
            if broken:
                gc.collect()
            self._quiet.close()

    def save(self, state: TrainState) -> None:
        """Save a state under its step, in the background. The step must not be saved already.

        Until `rate` is called, it is the best one only if no checkpoint has a validation loss.

        Raises:
            CheckpointError: if this or the last checkpoint cannot be written.
        """
        self.wait()
        if is_first():
            self._check_space(state)
        parts = parts_of(state)
        items = {name: ocp.args.StandardSave(parts[name]) for name in _PARTS}
        self._saving = int(state.step)
        with self._writing(), _one_save:
            self._manager.save(
                int(state.step),
                args=ocp.args.Composite(**items),
                # Without it, Orbax silently skips a state whose step is not above the latest.
                force=True,
            )

    def rate(self, step: int, validation_loss: float) -> None:
        """Keep the validation loss of a saved state. Raises as `save` does."""
        if step in self._losses or step not in self._manager.all_steps():
            return
        self.wait()
        self._losses[step] = validation_loss
        with self._writing():
            if is_first():
                write_loss(self._path / str(step), validation_loss)
        self._remove_needless()

    def discard(self, step: int) -> None:
        """Remove a checkpoint whose weights are useless."""
        self.wait()
        if step in self._manager.all_steps():
            self._manager.delete(step)
            self._losses.pop(step, None)

    def wait(self) -> None:
        """Wait until everything saved is on disk.

        Raises:
            CheckpointError: if it cannot be written.
        """
        with self._writing():
            self._manager.wait_until_finished()
        if self._saving is not None:
            self._saving = None
            self._remove_needless()

    def latest_step(self) -> int | None:
        """Return the step of the latest checkpoint, or None if there is none."""
        return self._manager.latest_step()

    def best_step(self) -> int | None:
        """Return the step with the lowest validation loss; without any, the latest step."""
        return best_of(self._losses, self._manager.all_steps())

    def restore_latest(
        self, like: TrainState, has_optimizer: Callable[[int], bool] = lambda _: True
    ) -> TrainState | None:
        """Restore the latest readable state; return None if nothing has been saved yet.

        Later, damaged checkpoints are moved aside, so that their steps can be saved again.

        Args:
            like: a state of the same shapes, or only its shapes and shardings. Restored arrays get
                the same shardings.
            has_optimizer: returns True if the state of the optimizer at a step is usable. If not,
                the result has None instead.

        Raises:
            CheckpointError: if there are checkpoints but none can be read; they stay unchanged.
        """
        steps = sorted(self._manager.all_steps(), reverse=True)
        for number, step in enumerate(steps):
            wanted = parts_of(like)
            if not has_optimizer(step):
                del wanted["optimizer"]
            parts = self._read(step, wanted)
            if parts is not None:
                # Only after one was read: if all of them are unreadable, the cause is hardly
                # damage.
                if is_first():
                    for damaged in steps[:number]:
                        self._move_aside(self._path / str(damaged), str(damaged))
                for damaged in steps[:number]:
                    self._losses.pop(damaged, None)
                all_agree(True)
                self._manager.reload()
                return TrainState(
                    jax.device_put(np.asarray(step, np.int32), like.step.sharding),
                    as_nodes(like.weights, parts["weights"]),
                    as_nodes(like.averaged, parts["averaged"]),
                    from_numbered(like.optimizer, parts.get("optimizer")),
                )
        if steps:
            raise self._none_readable()
        return None

    def restore_weights(self, step: int, like: Any, *, averaged: bool) -> tuple[int, Any]:
        """Restore the weights of one checkpoint or, if it is damaged, of the latest readable one.

        Args:
            step: step of the checkpoint.
            like: weights of the same shapes, or only their shapes. A leaf with a sharding is put
                there. The other leaves may be used on one device or on several.
            averaged: True for the moving average of the weights.

        Returns:
            The step of these weights, and the weights.

        Raises:
            CheckpointError: if no checkpoint can be read.
        """
        part = "averaged" if averaged else "weights"
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        shapes = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(
                x.shape, x.dtype, sharding=getattr(x, "sharding", None) or here
            ),
            nnx.to_pure_dict(like),
        )
        others = sorted(set(self._manager.all_steps()) - {step}, reverse=True)
        for candidate in [step, *others]:
            parts = self._read(candidate, {part: shapes}, check_shapes=True)
            if parts is not None:
                return candidate, as_nodes(
                    like, jax.tree.map(placed, parts[part], nnx.to_pure_dict(like))
                )
        raise self._none_readable()

    def _check_shapes(self, step: int, part: str, shapes: Any) -> None:
        """Raise a CheckpointError if a checkpoint has arrays of other shapes.

        Orbax would first make room for the arrays, which may be more than the memory holds.
        """
        wanted = shapes_by_name(shapes)

        def read() -> dict[str, tuple[int, ...]]:
            with ocp.StandardCheckpointer() as checkpointer:
                path = self._path.absolute() / str(step) / part
                return shapes_by_name(checkpointer.metadata(path).item_metadata.tree)

        _, found = _tried(read)
        # If this cannot be read, reading the arrays will tell why.
        if not found:
            return
        for name in sorted(found.keys() | wanted.keys()):
            there, now = (str(shapes.get(name, "none")) for shapes in (found, wanted))
            if there != now:
                raise CheckpointError(
                    f"the checkpoint of step {step} in {self._path} does not fit its config: "
                    f"{name} has the shape {there} there, and {now} by the config; restore "
                    "config.json and data.json, or use the version that wrote them"
                )

    def _none_readable(self) -> CheckpointError:
        return CheckpointError(
            f"none of the checkpoints in {self._path} can be read (reasons above; nothing was "
            "changed); use the version of the program that wrote them"
        )

    def _read(
        self, step: int, like: Mapping[str, Any], *, check_shapes: bool = False
    ) -> dict[str, Any] | None:
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, dict(like))
        items = {name: ocp.args.StandardRestore(tree) for name, tree in abstract.items()}
        # Orbax lists checkpoints that are still being written, but cannot read them.
        self._manager.wait_until_finished()

        def verify() -> None:
            # By one process, so that each file is read once.
            if is_first():
                verify_checksums(self._path / str(step), like)

        def restore() -> dict[str, Any]:
            read = self._manager.restore(step, args=ocp.args.Composite(**items))
            return {name: read[name] for name in like}

        reason, _ = _tried(verify)
        if reason is None and check_shapes:
            # Only of intact files: Orbax prints tracebacks about others.
            for part, shapes in abstract.items():
                self._check_shapes(step, part, shapes)
        if reason is None:
            reason, read = _tried(restore)
        if reason is not None:
            self._warn(
                f"the checkpoint of step {step} in {self._path} cannot be read and is passed over: "
                f"{reason[:200]}"
            )
            return None
        return read

    def _seal(self) -> None:
        """Write the checksums. Orbax calls this when a checkpoint lacks only its final name."""
        (folder,) = self._path.glob(f"{self._saving}.orbax-checkpoint-tmp*")
        write_checksums(folder, _PARTS)

    def _read_losses(self) -> dict[int, float]:
        """Read the validation loss of each checkpoint that has one.

        A file that cannot be read is moved aside. Orbax reads it too, and would fail.
        """
        losses = {}
        for step, path in loss_files(self._path).items():
            try:
                losses[step] = read_loss(path)
            # Not JSON, not UTF-8, something else in JSON, or no such file.
            except (ValueError, OSError):
                if is_first():
                    self._warn(f"the validation loss of step {step} in {self._path} cannot be read")
                    self._move_aside(path, f"{step}-metrics")
        return losses

    def _remove_needless(self) -> None:
        """Remove all checkpoints but the latest two and the best."""
        steps = sorted(self._manager.all_steps())
        # Two, so that there is an older one if the latest is damaged.
        for step in steps[:-2]:
            if step != self.best_step():
                self._manager.delete(step)
                self._losses.pop(step, None)

    def _check_space(self, state: TrainState) -> None:
        """Raise a CheckpointError if a state does not fit on the disk.

        Orbax would notice it only after a part is written, in many threads with many messages.
        """
        needed = sum(x.nbytes for x in jax.tree.leaves(state)) + 2**18
        free = shutil.disk_usage(self._path).free
        if free < needed:
            raise self._not_written(
                f"it needs {needed / 1e6:,.1f} MB, and the disk has {free / 1e6:,.1f} MB left"
            )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        # Orbax raises many kinds of errors, some of them from other threads.
        except Exception as error:
            reason = reason_of_system(error)
            # Another process has ended, for example.
            if reason is None or isinstance(error, InputError):
                raise
            if is_first():
                # It takes space that may be needed.
                remove_unfinished_checkpoints(self._path)
            raise self._not_written(reason) from error

    def _not_written(self, reason: str) -> CheckpointError:
        return CheckpointError(
            f"a checkpoint cannot be written in {self._path}: {reason}; mend this, and run the "
            f"same command to go on from step {self._last_complete()}"
        )

    def _last_complete(self) -> int:
        """Step of the latest complete checkpoint on the disk; 0 if there is none."""
        names = [path.name for path in self._path.iterdir()]
        return max((int(name) for name in names if name.isdigit()), default=0)

    def _move_aside(self, what: Path, name: str) -> None:
        aside = self._path.with_name("damaged_checkpoints")
        try:
            aside.mkdir(exist_ok=True)
            number = len(list(aside.iterdir()))
            os.replace(what, aside / f"{name}-{number}")
        except OSError as error:
            raise CheckpointError(
                f"{what} is damaged and cannot be moved aside ({error.strerror}); copy the run "
                "folder to a place where you can write"
            ) from error


def copy_averaged(path: Path, step: int, into: Path) -> None:
    """Copy one checkpoint without its plain weights and optimizer: only the averaged weights.

    Args:
        path: folder of the checkpoints.
        step: step of the checkpoint.
        into: another such folder; created if it is missing.
    """
    source = path / str(step)
    needless = {str(source): [part for part in _PARTS if part != "averaged"]}
    shutil.copytree(
        source, into / str(step), ignore=lambda folder, _: needless.get(str(folder), [])
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else repr(error)


def _tried(function: Callable[[], _Result]) -> tuple[str | None, _Result | None]:
    """Call a function; return the reason for a failure in any process, or None, and the result."""
    result, reason = None, None
    try:
        result = function()
    # A decoder may raise any error for a damaged file.
    except Exception as error:
        reason = _first_line(error)
    return (reason if all_agree(reason is None) else reason or "another process could not"), result

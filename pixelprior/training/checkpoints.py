"""Checkpoints through Orbax: the latest, the one before it, and the best.

All code for Orbax checkpoints is in this module. A checkpoint has three parts: ``weights``,
``averaged`` and ``optimizer``. Sampling therefore reads only the weights it needs. The file
``checksums.json`` covers all files of these parts. It is written last and read first. Decoders may
accept a damaged file, and an error message of Orbax is very long.
"""

import json
import logging
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx
from orbax.checkpoint.checkpoint_managers import preservation_policy

from pixelprior.errors import InputError
from pixelprior.system.atomic import write_atomically
from pixelprior.system.processes import all_agree, is_first
from pixelprior.training.step import TrainState

_METRIC = "validation_loss"
_PARTS = ("weights", "averaged", "optimizer")
_CHECKSUMS = "checksums.json"

_Result = TypeVar("_Result")


class CheckpointError(InputError):
    """No checkpoint of a run can be read."""


class Checkpoints:
    """Checkpoints of one run, by step. A context manager: it waits for pending writes.

    Args:
        path: folder of the checkpoints.
        warn: receives a message when a checkpoint is damaged.
    """

    def __init__(self, path: Path, *, warn: Callable[[str], None]):
        # Orbax logs every operation, and every missing file, to the root logger.
        logging.getLogger("absl").setLevel(logging.ERROR)
        self._path = path
        self._warn = warn
        if is_first():
            self._set_unreadable_metrics_aside()
        all_agree(True)
        self._saving: int | None = None

        def metric(metrics: Mapping[str, float]) -> float:
            return metrics[_METRIC]

        keep = preservation_policy.AnyPreservationPolicy(
            [
                # Two, so that there is an older one if the latest is damaged.
                preservation_policy.LatestN(2),
                preservation_policy.BestN(
                    get_metric_fn=metric, reverse=True, n=1, keep_checkpoints_without_metrics=False
                ),
            ]
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=keep,
            best_fn=metric,
            best_mode="min",
            create=True,
            async_options=ocp.AsyncOptions(post_finalization_callback=self._seal),
        )
        # Orbax requires absolute paths.
        self._manager = ocp.CheckpointManager(path.absolute(), options=options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait for pending writes, and release the folder."""
        self._manager.close()

    def save(self, state: TrainState, *, validation_loss: float | None = None) -> None:
        """Save a state under its step, in the background. The step must not be saved already.

        A checkpoint without a validation loss can be resumed from, and is the best only if no
        checkpoint has a validation loss.
        """
        parts = _parts(state)
        items = {name: ocp.args.StandardSave(parts[name]) for name in _PARTS}
        metrics = None if validation_loss is None else {_METRIC: validation_loss}
        self.wait()
        self._saving = int(state.step)
        self._manager.save(
            int(state.step),
            args=ocp.args.Composite(**items),
            metrics=metrics,
            # Without it, Orbax silently skips a state whose step is not above the latest.
            force=True,
        )

    def wait(self) -> None:
        """Wait until everything saved is on disk."""
        self._manager.wait_until_finished()

    def latest_step(self) -> int | None:
        """Return the step of the latest checkpoint, or None if there is none."""
        return self._manager.latest_step()

    def best_step(self) -> int | None:
        """Return the step with the lowest validation loss; without any, the latest step."""
        best = self._manager.best_step()
        return self.latest_step() if best is None else best

    def restore_latest(self, like: TrainState) -> TrainState | None:
        """Restore the latest readable state; return None if nothing has been saved yet.

        Later, damaged checkpoints are moved aside, so that their steps can be saved again.

        Args:
            like: a state of the same shapes, or only its shapes and shardings. Restored arrays get
                the same shardings.

        Raises:
            CheckpointError: if there are checkpoints but none can be read; they stay unchanged.
        """
        steps = sorted(self._manager.all_steps(), reverse=True)
        for number, step in enumerate(steps):
            parts = self._read(step, _parts(like))
            if parts is not None:
                # Only after one was read: if all of them are unreadable, the cause is hardly
                # damage.
                if is_first():
                    for damaged in steps[:number]:
                        self._move_aside(self._path / str(damaged), str(damaged))
                all_agree(True)
                self._manager.reload()
                return TrainState(
                    jax.device_put(np.asarray(step, np.int32), like.step.sharding),
                    _as(like.weights, parts["weights"]),
                    _as(like.averaged, parts["averaged"]),
                    jax.tree.unflatten(
                        jax.tree.structure(like.optimizer),
                        # By number: as strings, "10" would sort before "2".
                        [parts["optimizer"][str(i)] for i in range(len(parts["optimizer"]))],
                    ),
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
                return candidate, _as(
                    like, jax.tree.map(_placed, parts[part], nnx.to_pure_dict(like))
                )
        raise self._none_readable()

    def _check_shapes(self, step: int, part: str, shapes: Any) -> None:
        """Raise a CheckpointError if a checkpoint has arrays of other shapes.

        Orbax would first make room for the arrays, which may be more than the memory holds.
        """
        wanted = _shapes_by_name(shapes)

        def read() -> dict[str, tuple[int, ...]]:
            with ocp.StandardCheckpointer() as checkpointer:
                path = self._path.absolute() / str(step) / part
                return _shapes_by_name(checkpointer.metadata(path).item_metadata.tree)

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
        self.wait()

        def verify() -> None:
            # By one process, so that each file is read once.
            if is_first():
                _verify(self._path / str(step), parts=like)

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
        checksums = {
            path.relative_to(folder).as_posix(): _checksum(path)
            for part in _PARTS
            for path in sorted((folder / part).rglob("*"))
            if path.is_file()
        }
        write_atomically(folder / _CHECKSUMS, json.dumps(checksums, indent=2) + "\n")

    def _set_unreadable_metrics_aside(self) -> None:
        """Move unreadable metrics aside.

        Orbax reads the metrics of every checkpoint, and would fail at one of them.
        """
        for metrics in self._path.glob("[0-9]*/metrics"):
            step = metrics.parent.name
            # Other names belong to checkpoints that are still being written.
            if not step.isdigit():
                continue
            try:
                float(json.loads((metrics / "metrics").read_text())[_METRIC])
            # Not JSON, not UTF-8, something else in JSON, or no such file.
            except (ValueError, TypeError, KeyError, OSError):
                self._warn(f"the validation loss of step {step} in {self._path} cannot be read")
                self._move_aside(metrics, f"{step}-metrics")

    def _move_aside(self, what: Path, name: str) -> None:
        aside = self._path.with_name("damaged_checkpoints")
        aside.mkdir(exist_ok=True)
        number = len(list(aside.iterdir()))
        os.replace(what, aside / f"{name}-{number}")


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


def _tried(function: Callable[[], _Result]) -> tuple[str | None, _Result | None]:
    """Call a function; return the reason for a failure in any process, or None, and the result."""
    result, reason = None, None
    try:
        result = function()
    # A decoder may raise any error for a damaged file.
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
    return (reason if all_agree(reason is None) else reason or "another process could not"), result


def _parts(state: TrainState) -> dict[str, Any]:
    """Turn a state into plain trees.

    Their paths do not depend on the names that Flax or Optax give their nodes.
    """
    return {
        "weights": nnx.to_pure_dict(state.weights),
        "averaged": nnx.to_pure_dict(state.averaged),
        "optimizer": {str(i): leaf for i, leaf in enumerate(jax.tree.leaves(state.optimizer))},
    }


def _as(like: Any, tree: Any) -> Any:
    """Put a plain tree's leaves into the nodes of the state it was made from."""
    return jax.tree.unflatten(jax.tree.structure(like), jax.tree.leaves(tree))


def _shapes_by_name(tree: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays of a tree, by their paths with dots between parts."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): tuple(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def _placed(leaf: jax.Array, like: Any) -> jax.Array:
    """Place a leaf as requested: an array from Orbax cannot leave its device."""
    return leaf if getattr(like, "sharding", None) else jnp.asarray(np.asarray(leaf))


def _verify(folder: Path, parts: Iterable[str]) -> None:
    """Raise a ValueError or an OSError if a file of these parts differs from the one written."""
    for name, checksum in json.loads((folder / _CHECKSUMS).read_text()).items():
        if name.split("/")[0] in parts and _checksum(folder / name) != checksum:
            raise ValueError(f"its file {name} is not as it was written")


def _checksum(path: Path) -> int:
    checksum = 0
    with open(path, "rb") as file:
        while chunk := file.read(2**22):
            checksum = zlib.crc32(chunk, checksum)
    return checksum

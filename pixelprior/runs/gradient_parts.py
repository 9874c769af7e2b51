"""The number of parts in which a run computes the gradient of a batch."""

from collections.abc import Mapping
from typing import Any

import jax
from flax import nnx

from pixelprior.training.parts import choose_parts
from pixelprior.training.run_folder import RunFolder
from pixelprior.training.task import Task


def settle_parts(
    config: Mapping[str, Any], task: Task, folder: RunFolder | None, mesh: jax.sharding.Mesh
) -> dict[str, Any]:
    """Return the config with a number in the place of ``accumulate_steps=0``.

    A resumed run keeps its recorded number, also on another kind of device. If that number does not
    divide the batch on each device, or the run is new, `choose_parts` chooses.

    Args:
        config: see `pixelprior.experiment.TASKS`.
        task: the task of the config.
        folder: the folder of the run; None for a run in memory.
        mesh: the devices.
    """
    if config["accumulate_steps"]:
        return dict(config)
    recorded = 0
    if folder is not None and folder.has_checkpoint:
        recorded = folder.config()["accumulate_steps"]
    if recorded and config["batch_size"] % (mesh.size * recorded) == 0:
        return {**config, "accumulate_steps": recorded}
    batch = next(task.batches())
    model = nnx.eval_shape(task.make)
    return {**config, "accumulate_steps": choose_parts(model, task.loss, batch, mesh)}

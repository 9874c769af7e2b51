"""Costs of a run: training and sampling, measured in the same way for all runs."""

import sys
from typing import Any

import jax
import numpy as np
from flax import nnx

from pixelprior import jitted
from pixelprior.context import Context
from pixelprior.models.base import GridModel
from pixelprior.runs.run import Run
from pixelprior.runs.samples import has_learned_all
from pixelprior.runs.train import open_task
from pixelprior.sampling import sample_and_count
from pixelprior.sampling.labels import label_context
from pixelprior.system.devices import data_mesh, even_batch_size, put_batch
from pixelprior.system.timing import Timing, time_calls, timed
from pixelprior.training.flops import product_flops
from pixelprior.training.layout import bytes_on_each_device
from pixelprior.training.program import make_program
from pixelprior.training.run_folder import RunFolder
from pixelprior.training.step import compile_step, count_parameters

SEED = 0  # seed of the samples

DRAWN = 64
"""Number of images in a timed batch of samples or reconstructions."""

REPETITIONS = 5
"""Number of timed repetitions; the result is their median."""


def cost_of(run: Run) -> dict[str, Any]:
    """Measure the costs of a training step, and of samples or reconstructions.

    Sampling uses the weights of the run. Training uses new weights, which take the same time. It
    is measured only of a run in a folder.

    Raises:
        InputError: if the data of the run cannot be read.
    """
    return {
        "workdir": run.place,
        "task": run.task,
        "devices": f"{jax.device_count()} {jax.devices()[0].device_kind}",
        **({} if run.folder is None else _training(run, run.folder)),
        **(_sampling(run) if has_learned_all(run) else {}),
        "peak_host_bytes": _peak_host_bytes(),
        "peak_device_bytes": _peak_device_bytes(),
    }


def _training(run: Run, folder: RunFolder) -> dict[str, Any]:
    """Measure a training step of the run, on its data."""
    config, mesh = dict(run.config), data_mesh()
    # The devices may be others than those of the training.
    config["batch_size"] = even_batch_size(
        config["batch_size"], mesh, parts=config["accumulate_steps"]
    )
    # The checkpoints of the run include the levels that another prior had learned.
    taken_over = set(run.data.get("learned_levels", ())) - set(config.get("trained_levels", ()))
    task, _ = open_task(config, folder, mesh, prior=folder.path if taken_over else None)
    graph, weights = nnx.split(task.make())
    program = make_program(task, config, graph, weights, mesh)
    batch = put_batch(next(task.batches()), mesh)
    flops = product_flops(program.step, program.state, batch) / config["batch_size"]
    step, cost = compile_step(program.step, program.state, batch)
    state, making = timed(lambda: program.init(weights))
    parameters = count_parameters(state.weights, task.trainable)
    state_bytes = bytes_on_each_device(state)

    def train() -> Any:
        nonlocal state
        state, metrics = step(state, batch)
        return state, metrics

    timing = time_calls(train, REPETITIONS)
    return {
        "num_parameters": parameters,
        "flops_per_image": flops,
        "batch_size": config["batch_size"],
        "training_images_per_second": config["batch_size"] / timing.median,
        "seconds_to_first_step": cost.compile_seconds + making + timing.first,
        "state_bytes": state_bytes,
        "step_bytes": cost.memory_bytes,
    }


def _sampling(run: Run) -> dict[str, Any]:
    """Measure sampling; for a tokenizer, reconstruction."""
    model, key = run.model, jax.random.key(SEED)
    if run.task == "tokenizer":
        pixels = np.zeros((DRAWN, *model.grid.shape), np.float32)
        timing = time_calls(lambda: jitted.reconstruct(model, pixels), REPETITIONS)
        return _in_batches(timing, "reconstruction")
    context = label_context(model, None, DRAWN)
    if run.task == "pixels":
        timing = time_sampling(model, context)
        steps = float(np.mean(timing.result.evaluations))
        return {**_in_batches(timing, "sampling"), "sequential_steps_per_image": steps}
    timing = time_calls(
        lambda: model.sample(key, DRAWN, context=context, tokenizer=run.tokenizer), REPETITIONS
    )
    codes: list[Any] = []
    total = 0.0
    for number, level in enumerate(model.levels):
        of_level = model.context(number, codes, context)
        drawn = sample_and_count(level, key, DRAWN, context=of_level)
        codes.append(drawn.grids)
        total += float(np.mean(drawn.evaluations))
    return {**_in_batches(timing, "sampling"), "sequential_steps_per_image": total}


def time_sampling(model: GridModel, context: Context | None) -> Timing:
    """Time the sampling of `DRAWN` images from a pixel model, given their conditions.

    ``result`` of the timing is the result of `sample_and_count`.
    """
    key = jax.random.key(SEED)
    return time_calls(lambda: sample_and_count(model, key, DRAWN, context=context), REPETITIONS)


def _in_batches(timing: Timing, what: str) -> dict[str, float]:
    return {
        f"{what}_images_per_second": DRAWN / timing.median,
        f"{what}_seconds_to_first_batch": timing.first,
    }


def _peak_host_bytes() -> int | None:
    """Largest memory of this process so far, in bytes, with the devices of a CPU included.

    None on Windows, which does not report it.
    """
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _peak_device_bytes() -> int | None:
    """Largest memory of a device so far, in bytes; None if the backend does not report it."""
    peaks = [(device.memory_stats() or {}).get("peak_bytes_in_use") for device in jax.devices()]
    return max((peak for peak in peaks if peak is not None), default=None)

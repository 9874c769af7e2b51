"""What ``evaluate.py --cost`` does: what training and sampling cost, measured alike for all."""

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from pixelprior.runs.evaluate.evaluate import check_writable
from pixelprior.runs.load import load_trained
from pixelprior.runs.run import Run
from pixelprior.runs.samples import has_learned_all
from pixelprior.runs.train import open_task
from pixelprior.sampling import sample_and_count
from pixelprior.sampling.labels import label_context, labels_in_turn
from pixelprior.system.atomic import write_atomically
from pixelprior.system.console import say
from pixelprior.system.devices import data_mesh, put_batch
from pixelprior.training.flops import product_flops
from pixelprior.training.layout import bytes_on_each_device
from pixelprior.training.program import make_program
from pixelprior.training.run_folder import RunFolder
from pixelprior.training.step import compile_step, count_parameters

DRAWN = 64
"""Images in a batch whose sampling is timed, and of the reconstructions of a tokenizer."""

REPETITIONS = 5
"""Of everything that is timed; the median counts."""


def measure_cost(workdir: str | Path, *, json_file: str | Path | None = None) -> dict[str, Any]:
    """Measures what a run costs, prints it, and keeps it in the run folder.

    Weights are those of the run for sampling, and fresh ones for training, which they do not change
    the time of.

    Args:
        workdir: the run folder.
        json_file: where to write the results as well, or None.

    Returns:
        What the JSON file holds.

    Raises:
        InputError: if the run or its data cannot be read, or the results cannot be written.
    """
    if json_file is not None:
        check_writable(Path(json_file))
    trained = load_trained(workdir)
    result: dict[str, Any] = {
        "workdir": str(workdir),
        "task": trained.task,
        "devices": f"{jax.device_count()} {jax.devices()[0].device_kind}",
        **_training(trained, workdir),
        **(_sampling(trained) if has_learned_all(trained) else {}),
        "peak_host_bytes": _peak_host_bytes(),
        "peak_device_bytes": _peak_device_bytes(),
    }
    print("\n".join(table(result)))
    RunFolder(workdir).keep_evaluation("cost", result)
    if json_file is not None:
        write_atomically(Path(json_file), json.dumps(result, indent=2) + "\n")
        say(f"results in {json_file}")
    return result


def _training(trained: Run, workdir: str | Path) -> dict[str, Any]:
    """Of the very step that the run was trained by, on its data."""
    config, mesh = dict(trained.config), data_mesh()
    # Levels that another prior had learned are in the run's own checkpoints.
    taken_over = set(trained.data.get("learned_levels", ())) - set(config.get("trained_levels", ()))
    prior = workdir if taken_over else None
    task, _ = open_task(config, RunFolder(workdir), mesh, prior=prior)
    graph, weights = nnx.split(task.make())
    program = make_program(task, config, graph, weights, mesh)
    batch = put_batch(next(task.batches(0)), mesh)
    flops = product_flops(program.step, program.state, batch) / config["batch_size"]
    begun = time.perf_counter()
    step, cost = compile_step(program.step, program.state, batch)
    state = program.init(weights)
    parameters = count_parameters(state.weights, task.trainable)
    state_bytes = bytes_on_each_device(state)
    state, metrics = step(state, batch)
    jax.block_until_ready((state, metrics))
    first = time.perf_counter() - begun
    seconds = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        state, metrics = step(state, batch)
        jax.block_until_ready((state, metrics))
        seconds.append(time.perf_counter() - start)
    return {
        "num_parameters": parameters,
        "flops_per_image": flops,
        "batch_size": config["batch_size"],
        "training_images_per_second": config["batch_size"] / statistics.median(seconds),
        "seconds_to_first_step": first,
        "state_bytes": state_bytes,
        "step_bytes": cost.memory_bytes,
    }


def _sampling(trained: Run) -> dict[str, Any]:
    """Of samples; of a tokenizer, of reconstructions."""
    model, key = trained.model, jax.random.key(0)
    if trained.task == "tokenizer":
        pixels = np.zeros((DRAWN, *model.grid.shape), np.float32)
        graph, weights = nnx.split(model)
        reconstruct = jax.jit(lambda weights, x: nnx.merge(graph, weights).reconstruct(x))
        return {**_timed(lambda: reconstruct(weights, pixels), "reconstruction")}
    if trained.task == "pixels":
        context = label_context(model, None, DRAWN)
        timed = _timed(
            lambda: sample_and_count(model, key, DRAWN, context=context).grids, "sampling"
        )
        steps = sample_and_count(model, key, DRAWN, context=context).evaluations
        return {**timed, "sequential_steps_per_image": float(np.mean(steps))}
    label = labels_in_turn(model.num_classes, None, DRAWN)
    timed = _timed(
        lambda: model.sample(key, DRAWN, label=label, tokenizer=trained.tokenizer), "sampling"
    )
    codes: list[Any] = []
    total = 0.0
    for number, level in enumerate(model.levels):
        drawn = sample_and_count(level, key, DRAWN, context=model.context(number, codes, label))
        codes.append(drawn.grids)
        total += float(np.mean(drawn.evaluations))
    return {**timed, "sequential_steps_per_image": total}


def _timed(make: Callable[[], Any], what: str) -> dict[str, float]:
    start = time.perf_counter()
    jax.block_until_ready(make())
    first, seconds = time.perf_counter() - start, []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        jax.block_until_ready(make())
        seconds.append(time.perf_counter() - start)
    return {
        f"{what}_images_per_second": DRAWN / statistics.median(seconds),
        f"{what}_seconds_to_first_batch": first,
    }


def table(result: Mapping[str, Any]) -> list[str]:
    """The lines for people, of what `measure_cost` returns."""
    return [
        f"{result['workdir']}, a {result['task']} run, on {result['devices']}",
        *(f"{words:<44} {value:>16}" for words, value in lines(result)),
    ]


def lines(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same as pairs of what is measured and its value, both in words."""
    found = []
    for key, (words, scale, form) in _LINES.items():
        if key in result:
            value = result[key]
            shown = "not known here" if value is None else format(value * scale, form)
            found.append((words, shown))
    return found


_LINES = {
    "num_parameters": ("parameters", 1, ",.0f"),
    "flops_per_image": ("GFLOP per image of a training step", 1e-9, ",.3f"),
    "batch_size": ("images in a batch", 1, ",.0f"),
    "training_images_per_second": ("trained images per second", 1, ",.1f"),
    "seconds_to_first_step": ("seconds to the first step, compiling included", 1, ",.1f"),
    "state_bytes": ("MB of state on each device", 1e-6, ",.1f"),
    "step_bytes": ("MB of a step on each device", 1e-6, ",.1f"),
    "sampling_images_per_second": (f"sampled images per second, {DRAWN} at once", 1, ",.1f"),
    "sampling_seconds_to_first_batch": ("seconds to the first samples", 1, ",.1f"),
    "sequential_steps_per_image": ("network evaluations in turn for a sample", 1, ",.1f"),
    "reconstruction_images_per_second": ("reconstructed images per second", 1, ",.1f"),
    "reconstruction_seconds_to_first_batch": ("seconds to the first reconstructions", 1, ",.1f"),
    "peak_host_bytes": ("MB of the host at most", 1e-6, ",.0f"),
    "peak_device_bytes": ("MB of a device at most", 1e-6, ",.0f"),
}
"""For each value how it is called, and shown."""


def _peak_host_bytes() -> int | None:
    """The most memory that this process has had so far, a CPU's devices included.

    None on Windows, which does not tell.
    """
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _peak_device_bytes() -> int | None:
    """The most that a device has had; None where the backend does not tell."""
    peaks = [(device.memory_stats() or {}).get("peak_bytes_in_use") for device in jax.devices()]
    return max((peak for peak in peaks if peak is not None), default=None)

"""Table of the costs of a run."""

from collections.abc import Mapping
from typing import Any

from pixelprior.runs.cost import DRAWN


def cost_table(result: Mapping[str, Any]) -> list[str]:
    """Format the result of `pixelprior.runs.cost.cost_of`."""
    return [
        f"{result['workdir']}, a {result['task']} run, on {result['devices']}",
        *(f"{words:<44} {value:>16}" for words, value in cost_lines(result)),
    ]


def cost_lines(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Format each figure as a pair: its name and its value."""
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
"""Label, scale and format of each figure."""

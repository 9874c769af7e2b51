"""Validation losses of checkpoints, each in a small file beside the weights.

They tell the best checkpoint without reading any weights.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path

from pixelprior.system.atomic import write_atomically

_METRIC = "validation_loss"


def loss_files(checkpoints: Path) -> dict[int, Path]:
    """Return the folder of the loss of each checkpoint that has one, by step."""
    return {
        int(path.parent.name): path
        for path in checkpoints.glob("[0-9]*/metrics")
        # Other names belong to checkpoints that are still being written.
        if path.parent.name.isdigit()
    }


def read_loss(folder: Path) -> float:
    """Read the validation loss in the folder that `loss_files` names.

    Raises:
        ValueError: if it is no number.
        OSError: if the file cannot be read.
    """
    try:
        return float(json.loads((folder / "metrics").read_text())[_METRIC])
    except (TypeError, KeyError) as error:
        raise ValueError(f"{folder} has no {_METRIC}") from error


def write_loss(checkpoint: Path, loss: float) -> None:
    """Write the validation loss of a checkpoint."""
    folder = checkpoint / "metrics"
    folder.mkdir(exist_ok=True)
    write_atomically(folder / "metrics", json.dumps({_METRIC: loss}))


def best_of(losses: Mapping[int, float], steps: Collection[int]) -> int | None:
    """Return the step with the lowest loss; without any, the latest step, or None."""
    if not losses:
        return max(steps, default=None)
    # The later of two equal ones.
    return min(losses, key=lambda step: (losses[step], -step))


def best_step_in(checkpoints: Path) -> int | None:
    """Return the best step of a folder of checkpoints.

    The result is None if there is no checkpoint, or a loss cannot be read. The checkpoints must
    then be opened.
    """
    try:
        losses = {step: read_loss(folder) for step, folder in loss_files(checkpoints).items()}
        steps = [int(path.name) for path in checkpoints.iterdir() if path.name.isdigit()]
    except (ValueError, OSError):
        return None
    return best_of(losses, steps)

"""From a run folder to a model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from flax import nnx

from pixelprior.errors import InputError
from pixelprior.experiment import build_model
from pixelprior.grid import Grid
from pixelprior.models.base import AutoregressiveModel
from pixelprior.run_folder import RunFolder


class Trained(NamedTuple):
    """A trained model, and where it comes from.

    Attributes:
        model: ready to sample from and to score with.
        config: the experiment that it was trained by.
        data: what it was trained on: see `RunFolder`.
        weights: which weights it has, in words to print beside every result.
    """

    model: AutoregressiveModel
    config: Mapping[str, Any]
    data: Mapping[str, Any]
    weights: str


def load_trained(
    workdir: str | Path,
    *,
    checkpoint: str = "best",
    averaged: bool = True,
) -> Trained:
    """Rebuilds the model of a run from its folder alone; neither data nor config file is needed.

    Args:
        workdir: the run folder.
        checkpoint: "best" by validation NLL, or "latest".
        averaged: take the moving average of the weights, which is what the best was chosen by.

    Raises:
        InputError: if there is no run, it has no checkpoint yet, or none that can be read.
    """
    # Orbax takes most of a second to import, and `import pixelprior` should not.
    from pixelprior.report import warn
    from pixelprior.training.checkpoints import Checkpoints

    if checkpoint not in ("best", "latest"):
        raise InputError(f"checkpoint must be 'best' or 'latest', got {checkpoint!r}")
    folder = RunFolder(workdir)
    config, data = folder.config(), folder.data()
    height, width, channels = data["shape"]
    grid = Grid(height, width, channels, data["levels"])
    num_classes = len(data["class_names"]) if config["class_conditional"] else 0
    # Shapes only: drawing fresh weights would take seconds, and they would be thrown away.
    model = nnx.eval_shape(
        lambda: build_model(config["model"], grid, num_classes=num_classes, seed=config["seed"])
    )
    if not folder.checkpoints.is_dir():
        raise InputError(f"{folder.path} has no checkpoint yet; train.py saves them as it goes")
    with Checkpoints(folder.checkpoints, warn=warn) as checkpoints:
        step = checkpoints.best_step() if checkpoint == "best" else checkpoints.latest_step()
        if step is None:
            raise InputError(f"{folder.path} has no checkpoint yet; train.py saves them as it goes")
        graph, shapes = nnx.split(model)
        found, weights = checkpoints.restore_weights(step, shapes, averaged=averaged)
    kind = "averaged weights" if averaged else "raw weights"
    which = checkpoint if found == step else f"instead of step {step}, the {checkpoint}"
    return Trained(
        nnx.merge(graph, weights), config, data, f"{kind} of step {found} ({which} checkpoint)"
    )


def load(workdir: str | Path) -> AutoregressiveModel:
    """The model of a run, with the averaged weights of its best checkpoint.

    `load_trained` gives other weights, and what is known of the run. Raises as that does.
    """
    return load_trained(workdir).model

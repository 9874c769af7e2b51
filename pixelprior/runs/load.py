"""Loading a trained run from its folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pixelprior.errors import InputError
from pixelprior.experiment import Place, build_model, build_prior, build_tokenizer
from pixelprior.experiment.kept import check_together
from pixelprior.grid import Grid
from pixelprior.models.base import GridModel
from pixelprior.prior import Prior
from pixelprior.progress import Caution, Report, only_warnings
from pixelprior.runs.run import Run
from pixelprior.tokenizers import VQVAE
from pixelprior.training.readable import check_readable
from pixelprior.training.run_folder import RunFolder


def load_trained(
    workdir: str | Path,
    *,
    checkpoint: str = "best",
    averaged: bool = True,
    data: str | Path | None = None,
    data_dir: str | Path | None = None,
    report: Report = only_warnings,
) -> Run:
    """Load a trained run from its folder. Its data set and its recipe are not needed.

    Examples:
        >>> run = pp.load_trained("runs/digits")

    Args:
        workdir: the run folder.
        checkpoint: "best" by validation loss, or "latest".
        averaged: use the moving average of the weights. The best checkpoint was chosen with it.
        data: the folder or file of the images, if it has moved since the training.
        data_dir: the data folder of TensorFlow Datasets, if it has moved.
        report: receives a caution for each damaged checkpoint.

    Raises:
        InputError: if there is no run, it has no checkpoint that can be read, ``checkpoint`` is
            unknown, or the data set does not have such a place.
    """
    # Imported here to keep `import pixelprior` fast. Orbax takes most of a second to import.
    from pixelprior.training.checkpoints import Checkpoints

    if checkpoint not in ("best", "latest"):
        raise InputError(f"checkpoint must be 'best' or 'latest', got {checkpoint!r}")
    folder = RunFolder(workdir)
    config, facts = folder.config(), folder.data()
    check_together(config, facts, folder.path)
    # Compute shapes only. Drawing new weights would take seconds, and they are not used.
    try:
        model = nnx.eval_shape(lambda: _rebuild(config, facts))
    except InputError as error:
        raise InputError(
            f"{folder.path}/config.json does not fit: {error}; restore it from a copy, or use the "
            "version that trained the run"
        ) from error
    if not folder.checkpoints.is_dir():
        raise InputError(f"{folder.path} has no checkpoint yet; train.py saves them as it goes")
    check_readable(folder.checkpoints)
    with Checkpoints(folder.checkpoints, warn=lambda text: report(Caution(text))) as checkpoints:
        step = checkpoints.best_step() if checkpoint == "best" else checkpoints.latest_step()
        if step is None:
            raise InputError(f"{folder.path} has no checkpoint yet; train.py saves them as it goes")
        graph, shapes = nnx.split(model)
        found, weights = checkpoints.restore_weights(step, shapes, averaged=averaged)
    _check_finite(weights, folder, found, checkpoint)
    kind = "averaged weights" if averaged else "raw weights"
    which = checkpoint if found == step else f"instead of step {step}, the {checkpoint}"
    own = load_trained(folder.tokenizer, report=report) if config["task"] == "prior" else None
    if isinstance(model, Prior) and own is not None and own.model.code_grids != model.grids:
        raise InputError(
            f"the code_grids in {folder.path}/data.json are not those of the tokenizer in "
            f"{folder.tokenizer}; restore both from a copy"
        )
    return Run(
        model=nnx.merge(graph, weights),
        config=config,
        data=facts,
        provenance=f"{kind} of step {found} ({which} checkpoint)",
        step=found,
        tokenizer=own.model if own else None,
        tokenizer_config=own.config if own else None,
        folder=folder,
    ).at_place(Place(data, data_dir))


def load(workdir: str | Path) -> Any:
    """Load the model of a run, with the averaged weights of its best checkpoint.

    The model is a pixel model, a tokenizer or a prior. `load_trained` can load other weights. It
    also returns the tokenizer of a prior and the facts of the run.

    Examples:
        >>> model = pp.load("runs/digits")

    Args:
        workdir: the run folder.

    Raises:
        InputError: as `load_trained` does.
    """
    return load_trained(workdir).model


def _check_finite(weights: Any, folder: RunFolder, step: int, checkpoint: str) -> None:
    """Raise an InputError if a weight is NaN or infinite. Images of such weights are noise."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(nnx.to_pure_dict(weights)):
        values = np.asarray(leaf)
        if jnp.issubdtype(values.dtype, jnp.inexact) and not np.isfinite(values).all():
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            other = "latest" if checkpoint == "best" else "best"
            raise InputError(
                f"the weights of step {step} in {folder.checkpoints} are not finite ({name}); use "
                f"--checkpoint={other}, or train again with a lower learning_rate"
            )


def _rebuild(config: Mapping[str, Any], data: Mapping[str, Any]) -> GridModel | VQVAE | Prior:
    """Build the model of a run, with new weights."""
    # A config of another version must give an error message, not a traceback.
    task = config.get("task")
    if task == "prior":
        return build_prior(
            config["models"],
            config["context"],
            [Grid(*sizes) for sizes in data["code_grids"]],
            num_classes=len(data["class_names"]) if config["class_conditional"] else 0,
            label_dropout=config["label_dropout"],
            seed=config["seed"],
        )
    height, width, channels = data["shape"]
    grid = Grid(height, width, channels, data["levels"])
    if task == "tokenizer":
        return build_tokenizer(config["tokenizer"], config["quantizer"], grid, seed=config["seed"])
    if task == "pixels":
        num_classes = len(data["class_names"]) if config["class_conditional"] else 0
        return build_model(
            config["model"],
            grid,
            num_classes=num_classes,
            null_class=bool(num_classes and config["label_dropout"]),
            seed=config["seed"],
        )
    raise InputError(
        f"the run's config.json names the task {task!r}, which this version does not support"
    )

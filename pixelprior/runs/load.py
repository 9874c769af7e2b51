"""Loading a trained run from its folder, from a file, or by the name of a bundled model."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pixelprior.errors import InputError
from pixelprior.experiment import Place
from pixelprior.experiment.kept import check_together
from pixelprior.prior import Prior
from pixelprior.progress import Caution, Report, only_warnings
from pixelprior.runs.one_file.read import read_file
from pixelprior.runs.rebuild import rebuild
from pixelprior.runs.run import Run
from pixelprior.runs.source import find_file
from pixelprior.training.ratings import best_step_in
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
    """Load a trained run. Its data set and its recipe are not needed.

    An existing file or folder wins over a bundled model of the same name.

    Examples:
        >>> run = pp.load_trained("runs/digits")
        >>> run = pp.load_trained("model.safetensors")
        >>> run = pp.load_trained("hf://user/repo")

    Args:
        workdir: the run folder, a file of ``pixelprior export``, the name of a bundled model, or
            the address ``hf://user/repo`` of such a file.
        checkpoint: "best" by validation loss, or "latest". A file has only the best.
        averaged: use the moving average of the weights. The best checkpoint was chosen with it.
        data: the folder or file of the images, if it has moved since the training.
        data_dir: the data folder of TensorFlow Datasets, if it has moved.
        report: receives a caution for each damaged checkpoint.

    Raises:
        InputError: if there is no run, it has no weights that can be read, ``checkpoint`` is
            unknown, or the data set does not have such a place.
    """
    if checkpoint not in ("best", "latest"):
        raise InputError(f"checkpoint must be 'best' or 'latest', got {checkpoint!r}")
    file = find_file(workdir)
    if file is None:
        run = _load_folder(RunFolder(workdir), checkpoint, averaged, report)
    elif checkpoint == "best" and averaged:
        run = read_file(*file)
    else:
        raise InputError(
            f"{file.name} has only the averaged weights of the best checkpoint; give the run "
            "folder, or leave --checkpoint and --averaged out"
        )
    return run.at_place(Place(data, data_dir))


def load_records(
    workdir: str | Path, *, data: str | Path | None = None, data_dir: str | Path | None = None
) -> Run | None:
    """Read a run without its weights, for the results that its folder keeps.

    The result has no model, and describes the averaged weights of the best checkpoint. It is None
    for a file, and for a folder whose checkpoints must be opened to find the best.

    Args:
        workdir: see `load_trained`.
        data: the folder or file of the images, if it has moved since the training.
        data_dir: the data folder of TensorFlow Datasets, if it has moved.

    Raises:
        InputError: if the run cannot be read, or the data set does not have such a place.
    """
    if find_file(workdir) is not None:
        return None
    folder = RunFolder(workdir)
    config, facts = folder.config(), folder.data()
    check_together(config, facts, folder.path)
    step = best_step_in(folder.checkpoints)
    if step is None:
        return None
    is_prior = config["task"] == "prior"
    run = Run(
        model=None,
        config=config,
        data=facts,
        provenance=_provenance(step, "best"),
        step=step,
        tokenizer_config=RunFolder(folder.tokenizer).config() if is_prior else None,
        folder=folder,
    )
    return run.at_place(Place(data, data_dir))


def _provenance(step: int, which: str, *, averaged: bool = True) -> str:
    """Describe the weights of a checkpoint."""
    return f"{'averaged' if averaged else 'raw'} weights of step {step} ({which} checkpoint)"


def _load_folder(folder: RunFolder, checkpoint: str, averaged: bool, report: Report) -> Run:
    """Load a run from its folder. Arguments and errors are those of `load_trained`."""
    # Imported here to keep `import pixelprior` fast. Orbax takes most of a second to import.
    from pixelprior.training.checkpoints import Checkpoints

    config, facts = folder.config(), folder.data()
    check_together(config, facts, folder.path)
    # Compute shapes only. Drawing new weights would take seconds, and they are not used.
    try:
        model = nnx.eval_shape(lambda: rebuild(config, facts))
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
        provenance=_provenance(found, which, averaged=averaged),
        step=found,
        tokenizer=own.model if own else None,
        tokenizer_config=own.config if own else None,
        folder=folder,
        pixel_range=own.pixel_range if own else None,
    )


def load(workdir: str | Path) -> Any:
    """Load the model of a run, with the averaged weights of its best checkpoint.

    The model is a pixel model, a tokenizer or a prior. `load_trained` can load other weights. It
    also returns the tokenizer of a prior and the facts of the run.

    Examples:
        >>> model = pp.load("runs/digits")
        >>> model = pp.load("mnist")

    Args:
        workdir: see `load_trained`.

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

"""Train from Python: a recipe by name, or a model on arrays.

Legend: n images, h height, w width, c channels, k attributes.
"""

import json
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from flax import nnx
from ml_collections import ConfigDict

from pixelprior.data import Dataset, Symbols
from pixelprior.data.attributes import Attributes, as_attributes, warn_of_large
from pixelprior.data.sources.arrays import as_images, open_arrays
from pixelprior.errors import InputError
from pixelprior.experiment import (
    Config,
    at_place,
    check_config,
    check_rebuilds,
    complete,
    model_settings,
    with_settings,
)
from pixelprior.experiment.recipes import load_recipe
from pixelprior.models.base import GridModel
from pixelprior.prior import Prior
from pixelprior.progress import Caution, Message, Report, only_warnings
from pixelprior.runs.gradient_parts import settle_parts
from pixelprior.runs.initial_weights import Source, start_from
from pixelprior.runs.load import load_trained
from pixelprior.runs.prior_task import open_prior_task
from pixelprior.runs.run import Run
from pixelprior.runs.tokenizer import TokenizerRun
from pixelprior.runs.train import claimed, open_images, train_in_folder
from pixelprior.system.compilation_cache import keep_compiled_programs
from pixelprior.system.console import Terminal
from pixelprior.system.devices import data_mesh
from pixelprior.tokenizers import VQVAE
from pixelprior.training.loop import train
from pixelprior.training.run_folder import RunFolder
from pixelprior.training.store import MemoryStore
from pixelprior.training.task import Task
from pixelprior.training.tasks import PixelTask, TokenizerTask

Opened = tuple[Dataset, Symbols]


GIVEN_MODEL = {
    "batch_size": 64,
    "num_steps": 600,
    "weight_decay": 1e-2,
    "ema_decay": 0.995,
    "distribution_augmentation": 0.0,
    "log_every": 20,
    "checkpoint_every": 150,
    "sample_every": 300,
}
"""Settings for a pixel model that the caller has built, in the place of those of ``digits``."""


def fit(
    recipe: str | Config | GridModel | VQVAE | Prior,
    images: Any = None,
    labels: Any = None,
    *,
    attributes: Any = None,
    workdir: str | Path | None = None,
    tokenizer: Run | str | Path | Config | None = None,
    init_from: Source | None = None,
    progress: bool | Report = True,
    devices: Sequence[jax.Device] | None = None,
    **settings: Any,
) -> Run:
    """Train a recipe by name, a whole config, or a model on arrays.

    The given model is not changed. The trained weights are in ``run.model``. A model is trained
    with the settings of a recipe, changed by ``settings``. The recipe is ``digits:vqvae`` for a
    tokenizer and ``digits:prior`` for a prior. For a pixel model it is ``digits`` with 600 steps of
    64 images, and without the settings that suit only a small data set. If only ``num_steps``
    is set, the warm-up and the steps between validations change in proportion.

    Ctrl-C ends the training early. The run then has the weights of the best validation so far, or
    the latest weights if there was no validation. SIGTERM saves the state in the folder, and then
    ends the process as it does without a training.

    Examples:
        >>> run = pp.fit("digits", num_steps=600)
        >>> tokenizer = pp.fit("digits:vqvae")
        >>> prior = pp.fit("digits:prior", tokenizer=tokenizer)
        >>> run = pp.fit(pp.GatedPixelCNN(grid, rngs=nnx.Rngs(0)), images, num_steps=2000)
        >>> tuned = pp.fit("digits", num_steps=100, class_conditional=True, init_from=run)

    Args:
        recipe: the name of a recipe, like "digits" or "digits:vqvae", or a config with all keys of
            its task, as a dict or a ``ConfigDict``, or a model: a pixel model, a tokenizer or a
            prior. ``pixelprior configs`` lists the recipes.
        images: uint8 pixels or integer symbols, ``[n, h, w, c]`` or ``[n, h, w]``, NumPy or JAX. A
            fifth of them becomes the test split. The share ``validation_fraction`` of the rest, by
            default a tenth, becomes the validation split.
        labels: the class of each image, integers from 0.
        attributes: real numbers ``[n, k]``, or a mapping from names to numbers ``[n]``. A model
            with ``vector_features`` and a config with ``attribute_conditional=True`` need them. A
            tokenizer does not use them, but a prior over its codes may.
        workdir: the run folder, new or to resume; by default everything stays in memory.
        tokenizer: the run of the tokenizer of a prior, or its folder. For the recipe of a
            tokenizer: settings of its network, as in ``settings``.
        init_from: the run, the folder or the model whose weights a new run starts from, wherever
            they fit. A resumed run does not read it.
        progress: True to show a bar and messages in the terminal, False to show only warnings, or a
            function that receives the events of `pixelprior.progress`.
        devices: the devices to train on; by default all of them.
        settings: keys of the config; see `pixelprior.experiment.TASKS`. A mapping changes only some
            keys of a nested mapping: ``model={"features": 32}``. A ``ConfigDict`` counts as one.

    Returns:
        The run. ``run.model`` is the trained model, and ``run.metrics`` are its records.

    Raises:
        InputError: if recipe, arrays and settings do not fit together.
        NonFiniteLossError: if training diverges.
    """
    keep_compiled_programs()
    report = _report(progress)
    if isinstance(tokenizer, Mapping | ConfigDict):
        settings, tokenizer = settings | {"tokenizer": tokenizer}, None
    model = None if isinstance(recipe, str | Mapping | ConfigDict) else _check_model(recipe)
    base = _base_config(recipe)
    config = with_settings(base | ({} if model is None else model_settings(model)), settings)
    opened = None
    if images is not None:
        config, opened = _open_arrays(config, images, labels, attributes, model, report)
    elif labels is not None or attributes is not None:
        what = "attributes" if labels is None else "labels"
        raise InputError(f"{what} were given without images")
    elif model is not None and not isinstance(model, Prior):
        raise InputError(
            f"a {type(model).__name__} is trained on images; give them as the second argument"
        )
    check_config(config)
    config = at_place(config)
    folder = None if workdir is None else RunFolder(workdir)
    if folder is not None and model is not None:
        check_rebuilds(config)
    mesh = data_mesh(devices)
    task, tokenizer_run = _open_task(config, model, opened, folder, tokenizer, mesh, report)
    if init_from is not None:
        start_from(task, init_from, folder, report)
    config = settle_parts(config, task, folder, mesh)
    if folder is None:
        return _fit_in_memory(task, config, tokenizer_run, mesh, report)
    with claimed(task, config, folder, tokenizer_run, report):
        result = train_in_folder(task, config, folder, mesh, report=report)
    _pass_on(result.stopped_by)
    return load_trained(folder.path, report=report).with_images(opened)


def _pass_on(stopped_by: int | None) -> None:
    """Send SIGTERM again if it ended the training: a search must not go on with its next run."""
    if stopped_by == signal.SIGTERM:
        signal.raise_signal(signal.SIGTERM)


def _report(progress: bool | Report) -> Report:
    if not isinstance(progress, bool):
        if not callable(progress):
            raise InputError(
                f"progress must be True, False or a function of one event, got {progress!r:.80}"
            )
        return progress
    return Terminal() if progress else only_warnings


def _check_model(model: Any) -> GridModel | VQVAE | Prior:
    if not isinstance(model, GridModel | VQVAE | Prior):
        raise InputError(
            "expected the name of a recipe, a config, a pixel model, a tokenizer or a prior, got "
            f"{type(model).__name__}"
        )
    return model


def _base_config(recipe: str | Config | GridModel | VQVAE | Prior) -> dict[str, Any]:
    """Complete the config that is given, or load that of the recipe that trains such a model."""
    if isinstance(recipe, Mapping | ConfigDict):
        config = complete(recipe)
        check_config(config)
    elif isinstance(recipe, Prior):
        config = complete(load_recipe("digits:prior"))
    elif isinstance(recipe, VQVAE):
        config = complete(load_recipe("digits:vqvae"))
    elif isinstance(recipe, str):
        config = complete(load_recipe(recipe))
    else:
        config = complete(load_recipe("digits")) | GIVEN_MODEL
    if config["task"] == "compare":
        raise InputError("this recipe is a list of runs; fit trains one run: train.py takes lists")
    return config


def _open_arrays(
    config: dict[str, Any],
    images: Any,
    labels: Any,
    attributes: Any,
    model: GridModel | VQVAE | Prior | None,
    report: Report,
) -> tuple[dict[str, Any], Opened]:
    """Make the config of a run on these arrays, and their data set."""
    if config["task"] == "prior":
        raise InputError("a prior learns the codes of its tokenizer's images; leave images out")
    levels = config["levels"]
    pixels, classes = as_images(images, labels, levels)
    class_names: tuple[str, ...] = ()
    if isinstance(model, GridModel | VQVAE) and pixels.shape[1:] != model.grid.shape:
        raise InputError(
            f"the model is of images {list(model.grid.shape)}, got {list(pixels.shape[1:])}"
        )
    if isinstance(model, GridModel) and model.context_shape.num_classes:
        class_names = _class_names(model.context_shape.num_classes, classes)
    known = _attributes(config, attributes, model, len(pixels))
    if known is not None:
        warn_of_large(known, report)
    native = levels
    if int(pixels.max()) >= levels:
        native = 256
        report(Message(f"8-bit pixels, quantised to {levels} levels"))
    dataset = open_arrays(
        pixels,
        classes,
        attributes=known,
        native_levels=native,
        validation_fraction=config["validation_fraction"],
        class_names=class_names,
    )
    if int(pixels.max()) <= 1 < levels - 1:
        report(
            Caution(
                f"the images have only the values 0 and 1, of {levels} levels; use levels=2, or "
                "give white as 255 in uint8 pixels"
            )
        )
    symbols = Symbols(levels, config["binarisation"])
    config = config | {"dataset": dataset.name, "image_size": (0, 0), "data_dir": ""}
    return config, (dataset, symbols)


def _attributes(
    config: Mapping[str, Any], attributes: Any, model: Any, count: int
) -> Attributes | None:
    """Check the attributes of arrays, as far as the config or the model takes them."""
    if config["task"] == "tokenizer":
        # A prior over its codes may take them.
        return None if attributes is None else as_attributes(attributes, None, count)
    if not config["attribute_conditional"]:
        if attributes is None:
            return None
        raise InputError(
            "attributes were given, but this model is not conditioned on them; set "
            "attribute_conditional=True, or give a model with vector_features"
        )
    if attributes is None:
        raise InputError(
            "the model is conditioned on attributes; give attributes=..., one row for each image"
        )
    known = as_attributes(attributes, None, count)
    if model is not None and len(known.names) != model.context_shape.vector_features:
        raise InputError(
            f"the model takes vectors of {model.context_shape.vector_features} numbers, got "
            f"{len(known.names)} attributes"
        )
    return known


def _class_names(num_classes: int, labels: Any) -> tuple[str, ...]:
    """Names of the classes of a model: their numbers. The labels must be in this range."""
    if labels is None or int(labels.max()) >= num_classes:
        came = "no labels" if labels is None else f"labels up to {int(labels.max())}"
        raise InputError(f"the model is conditioned on {num_classes} classes, got {came}")
    return tuple(map(str, range(num_classes)))


def _open_task(
    config: Mapping[str, Any],
    model: Any,
    opened: Opened | None,
    folder: RunFolder | None,
    tokenizer: Run | str | Path | None,
    mesh: jax.sharding.Mesh,
    report: Report,
) -> tuple[Task, TokenizerRun | None]:
    if config["task"] == "prior":
        return open_prior_task(
            config,
            folder,
            tokenizer,
            None,
            mesh,
            model=model,
            in_memory=folder is None,
            report=report,
        )
    if tokenizer is not None:
        raise InputError(
            f"tokenizer is for training a prior, but the task is {config['task']!r}; leave it out"
        )
    kind = PixelTask if config["task"] == "pixels" else TokenizerTask
    opened = opened or open_images(config, folder, report)
    task: PixelTask | TokenizerTask = kind(config, mesh, opened=opened, model=model)
    task.images.check_symbols(report)
    return task, None


def _fit_in_memory(
    task: Task,
    config: Mapping[str, Any],
    tokenizer: TokenizerRun | None,
    mesh: jax.sharding.Mesh,
    report: Report,
) -> Run:
    store = MemoryStore()
    graph, _ = nnx.split(nnx.eval_shape(task.make))
    _pass_on(train(task, config, store, mesh, report=report).stopped_by)
    step, weights = store.best(None)
    # An interrupted run may have ended before its first validation.
    validated = any("validation_loss" in r and r["step"] == step for r in store.records)
    which = "best validation" if validated else "latest, never validated"
    return Run(
        model=nnx.merge(graph, weights),
        config=config,
        # Use the types that a folder would return.
        data=json.loads(json.dumps(task.describe())),
        provenance=f"averaged weights of step {step} ({which})",
        step=step,
        tokenizer=None if tokenizer is None else tokenizer.tokenizer,
        tokenizer_config=None if tokenizer is None else tokenizer.run.config,
        images=_images_of(task) if tokenizer is None else tokenizer.run.images,
        records=store.records,
    )


def _images_of(task: Task) -> Opened:
    """Data set and symbols of a task on images. A run in memory keeps no list of its files."""
    assert isinstance(task, PixelTask | TokenizerTask)
    return task.images.dataset, task.images.symbols

"""Keys of a config, for each task.

A config is a tree of plain values with exactly the keys of its task. No key is optional, so a
config file describes the whole run. Only keys that were added after 0.1.0 may be missing. They have
neutral values, with which the new version does the same as the older one.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from pixelprior.data.place import kind_of
from pixelprior.errors import InputError
from pixelprior.experiment.finite import is_finite_number
from pixelprior.experiment.normal_form import in_normal_form
from pixelprior.experiment.plain import Config, plain

_IMAGES: dict[str, type] = {
    "dataset": str,  # "digits", a name known to TFDS, "folder:/path" or "npz:/path"
    "data_dir": str,  # data folder of TFDS; "" for TFDS_DATA_DIR or the default of TFDS
    "class_depth": int,  # folders whose names make the class of an image file; 0 for no classes
    "skip_unreadable": bool,  # leave out image files that cannot be read
    "image_size": tuple,  # (height, width) after resizing and cropping; (0, 0) for no change
    "validation_fraction": float,  # share of the training split
    "levels": int,  # 2 to 256 values per symbol
    "binarisation": str,  # "none"; with levels=2 also "threshold", "static", "dynamic"
    "flip": bool,  # mirror training images at random
    "crop_padding": int,  # shift training images by up to so many pixels; 0 for never
    "brightness_jitter": float,  # 0 to 1: the largest random change of training images
    "contrast_jitter": float,  # 0 to 1
    "saturation_jitter": float,  # 0 to 1
    "hue_jitter": float,  # 0 to 0.5
}

_TRAINING: dict[str, type] = {
    "batch_size": int,  # images in a batch, over all devices
    "mesh": str,  # one of MESHES: the values to split over devices
    "accumulate_steps": int,  # number of parts of a batch, run in turn; 0 to choose
    "num_steps": int,
    "optimizer": str,  # one of OPTIMIZERS
    "schedule": str,  # one of SCHEDULES: the learning rate after the warm-up
    "learning_rate": float,  # the largest learning rate
    "warmup_steps": int,  # steps of a linear increase from 0
    "plateau_factor": float,  # "plateau" multiplies the rate by this if the loss is stuck
    "plateau_patience": int,  # "plateau" waits this many times checkpoint_every steps
    "weight_decay": float,  # not for biases and codebooks
    "clip_norm": float,  # largest global norm of a gradient, after clipping
    "skip_norm": float,  # a step with a larger norm is skipped; 0 to skip none
    "ema_decay": float,  # decay of the averaged weights
    "patience": int,  # validations without improvement that end a run; 0 for no limit
    "log_every": int,  # steps between records of the training loss
    "checkpoint_every": int,  # steps between checkpoints, each with its validation loss
    "sample_every": int,  # steps between pictures
    "num_samples": int,  # images in each picture
}

MESHES = ("data", "fsdp")  # split only batches, or also weights and optimizer state
OPTIMIZERS = ("adamw", "adamax", "lion", "muon")
SCHEDULES = ("constant", "cosine", "linear", "inverse_sqrt", "plateau")

_FIRST: dict[str, type] = {
    "task": str,  # "pixels", "tokenizer", "prior" or "compare"
    "seed": int,  # seed of weights, data order, dropout and samples
}

TASKS: dict[str, dict[str, type]] = {
    # A model of the images themselves.
    "pixels": _FIRST
    | _IMAGES
    | {
        "class_conditional": bool,  # condition the model on the labels
        "attribute_conditional": bool,  # condition the model on the attributes of the images
        "label_dropout": float,  # share of labels and attributes hidden in training, for guidance
        "distribution_augmentation": float,  # share of training images turned or mirrored; 0: none
        "model": dict,  # {"name": one of MODELS, and keyword arguments of its constructor}
    }
    | _TRAINING,
    # An autoencoder from images to codes.
    "tokenizer": _FIRST
    | _IMAGES
    | {
        "tokenizer": dict,  # {"name": one of TOKENIZERS, and keyword arguments}
        "quantizer": dict,  # {"name": one of QUANTIZERS, and keyword arguments}
    }
    | _TRAINING,
    # Models of the codes of a tokenizer. The images are its training data.
    "prior": _FIRST
    | {
        "data_dir": str,  # data folder of TFDS; "" for that of the tokenizer
        "class_conditional": bool,  # condition the models on the labels
        "attribute_conditional": bool,  # condition the models on the attributes of the images
        "label_dropout": float,  # share of labels and attributes hidden in training, for guidance
        "models": dict,  # for each level by name, a dict like "model" above
        "context": dict,  # {"features": channels of the coarser map, "num_blocks": per level}
        "trained_levels": tuple,  # names of the levels to train; --prior has the others
    }
    | _TRAINING,
    # Models of the same images, trained in turn.
    "compare": {
        "task": str,
        "runs": dict,  # for each run by name, a config with task "pixels"
    },
}

NEUTRAL: dict[str, Any] = {
    "label_dropout": 0.0,  # the first runs hid no labels
    "attribute_conditional": False,
    "distribution_augmentation": 0.0,
    "class_depth": 1,  # the first runs refused deeper folders
    "skip_unreadable": False,
    "quantizer.depth": 1,
    "quantizer.gradient": "straight_through",
    "tokenizer.perceptual_weight": 0.0,
    "crop_padding": 0,
    "brightness_jitter": 0.0,
    "contrast_jitter": 0.0,
    "saturation_jitter": 0.0,
    "hue_jitter": 0.0,
}
"""Neutral values of keys that older configs lack, in the form that JSON returns.

A dotted key is a setting of a network, like "quantizer.cosine". Its neutral value must be the
default of the constructor. "model." also applies to the models of a prior.
"""

DATA_NEUTRAL: dict[str, Any] = {
    "reading": 1,  # the rules by which version 0.1.0 turned files into images
    "contents": "",  # it did not identify the images
    "attribute_names": [],
    "attribute_contents": "",
}
"""Neutral values of the keys of ``data.json``."""

_PLACES = ("data_dir", "skip_unreadable")
"""Keys that tell where and how to find the images, and not which images they are."""

_IMAGE_DATA = (
    "name",
    "shape",
    "levels",
    "native_levels",
    "symbols",
    "splits",
    "class_names",
    "note",
)

DATA: dict[str, tuple[str, ...]] = {
    "pixels": _IMAGE_DATA,
    "tokenizer": (*_IMAGE_DATA, "pixel_variance"),
    "prior": (
        *_IMAGE_DATA,
        "pixel_variance",
        "tokenizer",  # the fingerprint
        "code_grids",
        "learned_levels",
        "code_counts",
    ),
}
"""Required keys of ``data.json``."""

# Compared runs must share these keys. Nats of other images or symbols are not comparable.
_COMPARED = ("dataset", "image_size", "validation_fraction", "levels", "binarisation")

_ACCEPTED: dict[type, Any] = {float: (int, float), tuple: (tuple, list), dict: Mapping}

_CHOICES = {"mesh": MESHES, "optimizer": OPTIMIZERS, "schedule": SCHEDULES}

_LARGEST_JITTER = {
    "brightness_jitter": 1,
    "contrast_jitter": 1,
    "saturation_jitter": 1,
    "hue_jitter": 0.5,
}

_POSITIVE = (
    "batch_size",
    "num_steps",
    "learning_rate",
    "plateau_patience",
    "clip_norm",
    "log_every",
    "checkpoint_every",
    "sample_every",
    "num_samples",
)


def complete(config: Config) -> dict[str, Any]:
    """Return a config in normal form, with the neutral values of the keys that it lacks.

    Raises:
        InputError: if it is no config; see `plain`.
    """
    config = plain(config)
    runs = config.get("runs")
    if config.get("task") == "compare" and isinstance(runs, Mapping):
        completed = {
            name: complete(run) if isinstance(run, Mapping) else run for name, run in runs.items()
        }
        return {**config, "runs": completed}
    task = config.get("task")
    keys = TASKS.get(task, {}) if isinstance(task, str) else {}
    neutral = {key: value for key, value in NEUTRAL.items() if key in keys}
    return neutral | in_normal_form(config)


def complete_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the contents of ``data.json`` with the neutral values of the keys that they lack."""
    return {**DATA_NEUTRAL, **data}


def without_neutral(
    settings: Mapping[str, Any], neutral: Mapping[str, Any], where: str = ""
) -> dict[str, Any]:
    """Return the settings that an older version would have written.

    Two configs mean the same if they are equal after this.

    Args:
        settings: a config, a part of one, or the contents of ``data.json``.
        neutral: `NEUTRAL` or `DATA_NEUTRAL`.
        where: the key of the part in its config, like "quantizer".
    """
    kept = {}
    for key, value in settings.items():
        path = f"{where}.{key}" if where else key
        if isinstance(value, Mapping):
            # A model of a level has the same settings as a pixel model.
            kept[key] = without_neutral(value, neutral, "model" if where == "models" else path)
        elif path not in neutral or neutral[path] != _as_json(value):
            kept[key] = value
    return kept


def without_place(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config, or the contents of ``data.json``, without the place of the data.

    Runs on equal images at two places differ in nothing else.
    """
    kept = {key: value for key, value in settings.items() if key not in _PLACES}
    for key in ("dataset", "name"):
        if isinstance(kept.get(key), str):
            kept[key] = kind_of(kept[key]) or kept[key]
    return kept


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def check_config(config: Config) -> None:
    """Raise an InputError unless a config has exactly the keys of its task, with fitting values."""
    config = plain(config)
    if not isinstance(config.get("task"), str) or config["task"] not in TASKS:
        raise InputError(
            f"config.task must be one of {', '.join(TASKS)}, got {config.get('task')!r}"
        )
    keys = TASKS[config["task"]]
    unknown = sorted(set(config) - set(keys))
    missing = sorted(set(keys) - set(config))
    if unknown or missing:
        raise InputError(
            "the config has "
            + " and ".join(
                f"{what} {', '.join(names)}"
                for what, names in (("unknown keys:", unknown), ("no value for:", missing))
                if names
            )
            + f"; the keys are {', '.join(keys)}"
        )
    for key, expected in keys.items():
        value = config[key]
        accepted = _ACCEPTED.get(expected, expected)
        # In Python a bool is an int, but True is not a valid batch size.
        if not isinstance(value, accepted) or (expected is not bool and isinstance(value, bool)):
            raise InputError(f"config.{key} must be of type {expected.__name__}, got {value!r}")
        if expected is float and not is_finite_number(value):
            raise InputError(f"config.{key} must be a finite number, got {value!r:.80}")
    if config["task"] == "compare":
        _check_runs(config["runs"])
    else:
        _check_ranges(config)


def _check_runs(runs: Mapping[str, Any]) -> None:
    if not runs:
        raise InputError("config.runs must describe at least one run, got none")
    first_name, first = next(iter(runs.items()))
    for name, run in runs.items():
        # The names become names of folders.
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise InputError(
                f"names in config.runs must be of letters, digits, '_', '-' and '.', got {name!r}"
            )
        if not isinstance(run, Mapping) or run.get("task") != "pixels":
            raise InputError(f"config.runs.{name} must be the config of a pixel model")
        try:
            check_config(run)
        except InputError as error:
            raise InputError(f"config.runs.{name}: {error}") from error
        for key in _COMPARED:
            # Compare as JSON, because a tuple may have become a list.
            if json.dumps(run[key]) != json.dumps(first[key]):
                raise InputError(
                    f"config.runs.{name}.{key} must be as in {first_name}, {first[key]!r}, for the "
                    f"two to be compared, got {run[key]!r}"
                )


def _check_ranges(config: Mapping[str, Any]) -> None:
    size = config.get("image_size", (0, 0))
    if len(size) != 2 or not all(type(side) is int and side >= 0 for side in size):
        raise InputError(f"config.image_size must be (height, width) in pixels, got {size!r}")
    for key in _POSITIVE:
        if config[key] <= 0:
            raise InputError(f"config.{key} must be above 0, got {config[key]}")
    if config.get("class_depth", 0) < 0:
        raise InputError(
            f"config.class_depth must be 0, for no classes, or above, got {config['class_depth']}"
        )
    for key, zero in (
        ("crop_padding", "for no crops"),
        ("accumulate_steps", "for an automatic choice"),
        ("skip_norm", "for never"),
        ("patience", "for never"),
    ):
        if config.get(key, 0) < 0:
            raise InputError(f"config.{key} must be 0, {zero}, or above, got {config[key]}")
    for key, largest in _LARGEST_JITTER.items():
        if not 0 <= config.get(key, 0) <= largest:
            raise InputError(f"config.{key} must be in [0, {largest}], got {config[key]}")
    if config["weight_decay"] < 0:
        raise InputError(f"config.weight_decay must be 0 or above, got {config['weight_decay']}")
    for key in ("ema_decay", "label_dropout", "distribution_augmentation"):
        if not 0 <= config.get(key, 0) < 1:
            raise InputError(f"config.{key} must be in [0, 1), got {config[key]}")
    if not 0 < config["plateau_factor"] < 1:
        raise InputError(
            f"config.plateau_factor must be between 0 and 1, got {config['plateau_factor']}"
        )
    for key, names in _CHOICES.items():
        if config[key] not in names:
            raise InputError(f"config.{key} must be one of {', '.join(names)}, got {config[key]!r}")
    if not 0 <= config["warmup_steps"] <= config["num_steps"]:
        raise InputError(
            f"config.warmup_steps must be from 0 to num_steps ({config['num_steps']}), "
            f"got {config['warmup_steps']}"
        )
    if not 0 <= config["seed"] < 2**32:
        raise InputError(f"config.seed must be in [0, 2**32), got {config['seed']}")
    # The recipes of priors have label_dropout for both kinds, so it is a choice here alone.
    conditions = ("class_conditional", "attribute_conditional")
    hides_nothing = config["task"] == "pixels" and not any(config[key] for key in conditions)
    if hides_nothing and config["label_dropout"]:
        raise InputError(
            f"config.label_dropout={config['label_dropout']} hides labels, but this model has "
            "none; set label_dropout to 0, or config.class_conditional or "
            "attribute_conditional to True"
        )
    dataset = config.get("dataset", "")
    if config.get("data_dir") and (dataset == "digits" or kind_of(dataset)):
        raise InputError(
            f"config.data_dir is for data sets of TensorFlow Datasets, but config.dataset is "
            f"{dataset!r}; leave data_dir out"
        )

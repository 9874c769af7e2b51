"""The keys of a config, for each of the tasks.

A config is a tree of plain values with exactly the keys of its task: none is optional, so that a
config file says everything that happens. Only a key added after 0.1.0 may be missing: it has a
neutral value, with which a new version does what an older one did.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pixelprior.errors import InputError

_IMAGES: dict[str, type] = {
    "dataset": str,  # "digits", a name known to TFDS, or "folder:/path"
    "data_dir": str,  # where TFDS looks; "" for TFDS_DATA_DIR or its own default
    "image_size": tuple,  # (height, width) to resize and crop to; (0, 0) for the images' own
    "validation_fraction": float,  # of the training split
    "levels": int,  # 2 to 256 values per symbol
    "binarisation": str,  # "none", or with 2 levels "threshold", "static", "dynamic"
    "flip": bool,  # mirror training images at random
}

_TRAINING: dict[str, type] = {
    "batch_size": int,  # of all devices together
    "mesh": str,  # one of MESHES: what is split over the devices
    "accumulate_steps": int,  # parts of a batch, one after the other: less memory
    "num_steps": int,
    "optimizer": str,  # one of OPTIMIZERS
    "schedule": str,  # one of SCHEDULES: what follows the warm-up
    "learning_rate": float,  # at its peak
    "warmup_steps": int,  # linear from 0
    "plateau_factor": float,  # of "plateau": times the rate, when the training loss is stuck
    "plateau_patience": int,  # of "plateau": for so many times checkpoint_every steps
    "weight_decay": float,  # on matrices and kernels only
    "clip_norm": float,  # largest global norm of a gradient
    "skip_norm": float,  # a step with a larger one changes nothing; 0 for never
    "ema_decay": float,  # of the averaged weights
    "patience": int,  # ends a run after so many validations without a better one; 0 for never
    "log_every": int,  # steps between records of the training loss
    "checkpoint_every": int,  # steps between checkpoints, each with its validation loss
    "sample_every": int,  # steps between pictures
    "num_samples": int,  # images in each of them
}

MESHES = ("data", "fsdp")  # batches alone; weights and all that goes with them too
OPTIMIZERS = ("adamw", "adamax", "lion", "muon")
SCHEDULES = ("constant", "cosine", "linear", "inverse_sqrt", "plateau")

_FIRST: dict[str, type] = {
    "task": str,  # "pixels", "tokenizer", "prior" or "compare"
    "seed": int,  # of the weights, the order of the data, dropout and samples
}

TASKS: dict[str, dict[str, type]] = {
    # A model of the images themselves.
    "pixels": _FIRST
    | _IMAGES
    | {
        "class_conditional": bool,  # condition the model on the labels
        "label_dropout": float,  # share of labels hidden in training, for guidance
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
    # Models of a tokenizer's codes; the images are those that the tokenizer was trained on.
    "prior": _FIRST
    | {
        "data_dir": str,  # where TFDS looks; "" for where it looked for the tokenizer
        "class_conditional": bool,  # condition the models on the labels
        "label_dropout": float,  # share of labels hidden in training, for guidance
        "models": dict,  # for each level by name, what "model" is for pixels
        "context": dict,  # {"features": of the map of coarser codes, "num_blocks": per level}
        "trained_levels": tuple,  # the names of those to train; the others come from --prior
    }
    | _TRAINING,
    # Models of the same images, trained one after the other.
    "compare": {
        "task": str,
        "runs": dict,  # for each run by name, a config of the task "pixels"
    },
}

NEUTRAL: dict[str, Any] = {
    "label_dropout": 0.0,  # the first runs hid no labels
}
"""Values of keys that older configs lack, as JSON gives them back.

A dotted key is a setting of a network, like "quantizer.cosine". Its neutral value must be the
default of the constructor. "model." stands for the models of a prior too.
"""

DATA_NEUTRAL: dict[str, Any] = {}
"""The same for the keys of ``data.json``."""

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
"""The keys of ``data.json`` that a run cannot be used without."""

# What runs must share to be compared: nats of other images or symbols mean another thing.
_COMPARED = ("dataset", "image_size", "validation_fraction", "levels", "binarisation")

_ACCEPTED: dict[type, Any] = {float: (int, float), tuple: (tuple, list), dict: Mapping}

_CHOICES = {"mesh": MESHES, "optimizer": OPTIMIZERS, "schedule": SCHEDULES}

_POSITIVE = (
    "batch_size",
    "accumulate_steps",
    "num_steps",
    "learning_rate",
    "plateau_patience",
    "clip_norm",
    "log_every",
    "checkpoint_every",
    "sample_every",
    "num_samples",
)


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config with the neutral values of the keys that it lacks."""
    runs = config.get("runs")
    if config.get("task") == "compare" and isinstance(runs, Mapping):
        completed = {
            name: complete(run) if isinstance(run, Mapping) else run for name, run in runs.items()
        }
        return {**config, "runs": completed}
    keys = TASKS.get(config.get("task", ""), {})
    return {**{key: value for key, value in NEUTRAL.items() if key in keys}, **config}


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
            # The settings of a level's model are named as those of the one model of pixels.
            kept[key] = without_neutral(value, neutral, "model" if where == "models" else path)
        elif path not in neutral or neutral[path] != _as_json(value):
            kept[key] = value
    return kept


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def check_complete(config: Mapping[str, Any], data: Mapping[str, Any], where: str) -> None:
    """Raise an InputError if a run folder's files lack a key that has no neutral value."""
    task = config.get("task", "")
    kept: tuple[tuple[str, Mapping[str, Any], Iterable[str]], ...] = (
        ("config.json", config, TASKS.get(task, ())),
        ("data.json", data, DATA.get(task, ())),
    )
    for name, values, keys in kept:
        missing = [key for key in keys if key not in values]
        if missing:
            raise InputError(
                f"{where}/{name} has no value for: {', '.join(missing)}; another version wrote "
                "it, or somebody changed it. Add the keys, or use the version that trained the run"
            )


def check_config(config: Mapping[str, Any]) -> None:
    """Raises an InputError unless the config has exactly the keys, of the types, that it must."""
    if config.get("task") not in TASKS:
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
        # bool is an int to Python, but True is no batch size.
        if not isinstance(value, accepted) or (expected is not bool and isinstance(value, bool)):
            raise InputError(f"config.{key} must be of type {expected.__name__}, got {value!r}")
    if config["task"] == "compare":
        _check_runs(config["runs"])
    else:
        _check_ranges(config)


def _check_runs(runs: Mapping[str, Any]) -> None:
    if not runs:
        raise InputError("config.runs must describe at least one run, got none")
    first_name, first = next(iter(runs.items()))
    for name, run in runs.items():
        # Runs lie in folders of these names.
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise InputError(
                f"names in config.runs must be of letters, digits, '_', '-' and '.', got {name!r}"
            )
        if not isinstance(run, Mapping) or run.get("task") != "pixels":
            raise InputError(f"config.runs.{name} must be the config of a model of pixels")
        try:
            check_config(run)
        except InputError as error:
            raise InputError(f"config.runs.{name}: {error}") from error
        for key in _COMPARED:
            # As JSON: a tuple may have become a list.
            if json.dumps(run[key]) != json.dumps(first[key]):
                raise InputError(
                    f"config.runs.{name}.{key} must be as in {first_name}, {first[key]!r}, for the "
                    f"two to be compared, got {run[key]!r}"
                )


def _check_ranges(config: Mapping[str, Any]) -> None:
    size = config.get("image_size", (0, 0))
    if len(size) != 2 or not all(isinstance(side, int) and side >= 0 for side in size):
        raise InputError(f"config.image_size must be (height, width) in pixels, got {size!r}")
    for key in _POSITIVE:
        if config[key] <= 0:
            raise InputError(f"config.{key} must be above 0, got {config[key]}")
    for key in ("skip_norm", "patience"):
        if config[key] < 0:
            raise InputError(f"config.{key} must be 0, for never, or above, got {config[key]}")
    for key in ("ema_decay", "label_dropout"):
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

"""What an experiment's config means: its keys, and the data and the model that it describes.

A config is a tree of plain values with exactly the keys below: none is optional, so that a config
file says everything that happens.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from flax import nnx

from pixelprior.data import Dataset, Symbols, open_dataset
from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.keys import named_key
from pixelprior.models import MODELS, AutoregressiveModel

KEYS: dict[str, type] = {
    "seed": int,  # of the weights, the order of the data, dropout and samples
    "dataset": str,  # "digits", a name known to TFDS, or "folder:/path"
    "data_dir": str,  # where TFDS looks; "" for TFDS_DATA_DIR or its own default
    "image_size": tuple,  # (height, width) to resize and crop to; (0, 0) for the images' own
    "validation_fraction": float,  # of the training split
    "levels": int,  # 2 to 256 values per symbol
    "binarisation": str,  # "none", or with 2 levels "threshold", "static", "dynamic"
    "flip": bool,  # mirror training images at random
    "class_conditional": bool,  # condition the model on the labels
    "model": dict,  # {"name": one of MODELS, and keyword arguments of its constructor}
    "batch_size": int,  # of all devices together
    "num_steps": int,
    "learning_rate": float,  # at its peak
    "warmup_steps": int,  # linear from 0; a cosine to 0 follows
    "weight_decay": float,  # AdamW's, on matrices and kernels only
    "clip_norm": float,  # largest global norm of a gradient
    "ema_decay": float,  # of the averaged weights
    "log_every": int,  # steps between records of the training loss
    "checkpoint_every": int,  # steps between checkpoints, each with its validation NLL
    "sample_every": int,  # steps between pictures of samples
    "num_samples": int,  # in each of them
}

_ACCEPTED: dict[type, Any] = {float: (int, float), tuple: (tuple, list), dict: Mapping}

_POSITIVE = (
    "batch_size",
    "num_steps",
    "learning_rate",
    "clip_norm",
    "log_every",
    "checkpoint_every",
    "sample_every",
    "num_samples",
)


def check_config(config: Mapping[str, Any]) -> None:
    """Raises an InputError unless the config has exactly the keys, of the types, that it must."""
    unknown = sorted(set(config) - set(KEYS))
    missing = sorted(set(KEYS) - set(config))
    if unknown or missing:
        raise InputError(
            "the config has "
            + " and ".join(
                f"{what} {', '.join(keys)}"
                for what, keys in (("unknown keys:", unknown), ("no value for:", missing))
                if keys
            )
            + f"; the keys are {', '.join(KEYS)}"
        )
    for key, expected in KEYS.items():
        value = config[key]
        accepted = _ACCEPTED.get(expected, expected)
        # bool is an int to Python, but True is no batch size.
        if not isinstance(value, accepted) or (expected is not bool and isinstance(value, bool)):
            raise InputError(f"config.{key} must be of type {expected.__name__}, got {value!r}")
    size = config["image_size"]
    if len(size) != 2 or not all(isinstance(side, int) and side >= 0 for side in size):
        raise InputError(f"config.image_size must be (height, width) in pixels, got {size!r}")
    for key in _POSITIVE:
        if config[key] <= 0:
            raise InputError(f"config.{key} must be above 0, got {config[key]}")
    if not 0 <= config["ema_decay"] < 1:
        raise InputError(f"config.ema_decay must be in [0, 1), got {config['ema_decay']}")
    if not 0 <= config["warmup_steps"] <= config["num_steps"]:
        raise InputError(
            f"config.warmup_steps must be from 0 to num_steps ({config['num_steps']}), "
            f"got {config['warmup_steps']}"
        )
    if not 0 <= config["seed"] < 2**32:
        raise InputError(f"config.seed must be in [0, 2**32), got {config['seed']}")


def open_data(config: Mapping[str, Any]) -> tuple[Dataset, Symbols, Grid]:
    """The data set of an experiment, how its pixels become symbols, and the grids that gives.

    Raises:
        InputError: if there is no such data, or it does not fit what the config asks for.
    """
    symbols = Symbols(config["levels"], config["binarisation"])
    height, width = config["image_size"]
    dataset = open_dataset(
        config["dataset"],
        image_size=(height, width),
        validation_fraction=config["validation_fraction"],
        data_dir=config["data_dir"] or None,
    )
    symbols.check(dataset.native_levels)
    if config["class_conditional"] and not dataset.class_names:
        raise InputError(
            f"class_conditional needs labels, but the data set {dataset.name!r} has none; "
            "set config.class_conditional=False"
        )
    return dataset, symbols, Grid(*dataset.shape, levels=symbols.levels)


def build_model(
    settings: Mapping[str, Any], grid: Grid, *, num_classes: int, seed: int
) -> AutoregressiveModel:
    """The model that a config's ``model`` describes, with fresh weights.

    Raises:
        InputError: if there is no such model, or it does not take a setting.
    """
    arguments = dict(settings)
    name = arguments.pop("name", None)
    if name not in MODELS:
        raise InputError(f"config.model.name must be one of {', '.join(MODELS)}, got {name!r}")
    accepted = {
        key: parameter.default
        for key, parameter in inspect.signature(MODELS[name].__init__).parameters.items()
        if key not in ("self", "grid", "num_classes", "map_features", "rngs")
    }
    for key, value in arguments.items():
        if key not in accepted:
            raise InputError(
                f"{name} has no setting {key!r}; config.model may set {', '.join(accepted)}"
            )
        if type(accepted[key]) is int and (type(value) is not int or value < 1):
            raise InputError(f"config.model.{key} must be an integer of at least 1, got {value!r}")
        if type(accepted[key]) is float and not (_is_number(value) and 0 <= value < 1):
            raise InputError(f"config.model.{key} must be a number in [0, 1), got {value!r}")
    make: Any = MODELS[name]
    try:
        return make(
            grid, num_classes=num_classes, rngs=nnx.Rngs(named_key(seed, "weights")), **arguments
        )
    except TypeError as error:
        raise InputError(f"config.model: {error}") from error


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

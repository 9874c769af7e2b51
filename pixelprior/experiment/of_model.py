"""Config of a model that the caller has built."""

import functools
import inspect
from collections.abc import Mapping
from typing import Any

from pixelprior.errors import InputError
from pixelprior.experiment.build import QUANTIZERS
from pixelprior.models import MODELS, GridModel
from pixelprior.nn.constructed import constructor_arguments
from pixelprior.prior import Prior
from pixelprior.tokenizers import VQVAE, VectorQuantizer
from pixelprior.tokenizers.code_maps import level_names

NOT_FOR_CONFIGS = ("grid", "num_classes", "null_class", "map_features", "vector_features", "turns")


def model_settings(model: GridModel | VQVAE | Prior) -> dict[str, Any]:
    """Return the config keys that describe a model, so that a run folder can rebuild it.

    If pixelprior does not have the class of a model, or its constructor did not make it, the result
    has only the name of the class. Such a model can be trained, but not loaded from a folder.
    """
    if isinstance(model, Prior):
        return _prior_settings(model)
    levels = {"levels": model.grid.levels, "binarisation": "none"}
    if isinstance(model, VQVAE):
        arguments = constructor_arguments(model) or {}
        quantizer = arguments.pop("quantizer", None)
        if quantizer is None:
            # The constructor makes this quantizer by default.
            quantizer = functools.partial(VectorQuantizer, model.codebook[0].shape[-1])
        arguments.pop("grid", None)
        name = "vqvae" if len(model.code_grids) == 1 else "vqvae2"
        return levels | {
            "tokenizer": {"name": name, **arguments},
            "quantizer": _named(quantizer, QUANTIZERS),
        }
    shape = model.context_shape
    return levels | {
        "model": _settings_of(model),
        "class_conditional": bool(shape.num_classes),
        "attribute_conditional": bool(shape.vector_features),
        "label_dropout": 0.1 if shape.null_class else 0.0,
        "distribution_augmentation": 0.5 if shape.turns else 0.0,
    }


def check_rebuilds(settings: Mapping[str, Any]) -> None:
    """Raise an InputError unless a run folder can rebuild the model of these settings."""
    known: dict[str, Mapping[str, Any]] = {"model": MODELS, "quantizer": QUANTIZERS}
    parts = [(settings[key], names) for key, names in known.items() if key in settings]
    parts += [(part, MODELS) for part in settings.get("models", {}).values()]
    if not all(part["name"] in names for part, names in parts):
        raise InputError(
            "a run folder must be able to rebuild its model: give a model of pixelprior made by "
            "its constructor (and classes or functools.partial for its parts), or leave workdir out"
        )


def _prior_settings(prior: Prior) -> dict[str, Any]:
    names = level_names(len(prior.grids))
    arguments = constructor_arguments(prior) or {}
    makers = arguments.get("models") or [None] * len(names)
    context = {
        key.removeprefix("context_"): value
        for key, value in {"context_features": 64, "context_num_blocks": 2, **arguments}.items()
        if key.startswith("context_")
    }
    return {
        "models": {name: _named(maker, MODELS) for name, maker in zip(names, makers, strict=True)},
        "context": context,
        "class_conditional": bool(prior.num_classes),
        "attribute_conditional": bool(prior.vector_features),
        "label_dropout": prior.label_dropout,
        "trained_levels": names,
    }


def _settings_of(model: GridModel) -> dict[str, Any]:
    arguments = constructor_arguments(model)
    name = next((name for name, kind in MODELS.items() if kind is type(model)), None)
    if arguments is None or name is None:
        return {"name": type(model).__name__}
    kept = {key: value for key, value in arguments.items() if key not in NOT_FOR_CONFIGS}
    return {"name": name, **kept}


def _named(make: Any, kinds: Mapping[str, type]) -> dict[str, Any]:
    """Name and settings of a class, or of a ``functools.partial`` of it."""
    settings: dict[str, Any] = {}
    if isinstance(make, functools.partial):
        given = inspect.signature(make.func).bind_partial(*make.args, **make.keywords)
        make, settings = make.func, dict(given.arguments)
    name = next((name for name, kind in kinds.items() if kind is make), None)
    if name is None:
        return {"name": getattr(make, "__name__", str(make))}
    return {"name": name, **{key: value for key, value in settings.items() if key != "rngs"}}

"""Networks of trained runs, from their configs and the facts about their data."""

from collections.abc import Mapping
from typing import Any

from pixelprior.errors import InputError
from pixelprior.experiment import build_model, build_prior, build_tokenizer
from pixelprior.grid import Grid
from pixelprior.models.base import GridModel
from pixelprior.prior import Prior
from pixelprior.tokenizers import VQVAE


def rebuild(config: Mapping[str, Any], data: Mapping[str, Any]) -> GridModel | VQVAE | Prior:
    """Build the model of a run, with new weights."""
    # A config of another version must give an error message, not a traceback.
    task = config.get("task")
    if task == "prior":
        return build_prior(
            config["models"],
            config["context"],
            [Grid(*sizes) for sizes in data["code_grids"]],
            **_conditions(config, data),
            label_dropout=config["label_dropout"],
            seed=config["seed"],
        )
    height, width, channels = data["shape"]
    grid = Grid(height, width, channels, data["levels"])
    if task == "tokenizer":
        return build_tokenizer(config["tokenizer"], config["quantizer"], grid, seed=config["seed"])
    if task == "pixels":
        return build_model(
            config["model"],
            grid,
            **_conditions(config, data),
            # A model without a condition has no null class.
            null_class=config["label_dropout"] > 0,
            turns=config["distribution_augmentation"] > 0,
            seed=config["seed"],
        )
    raise InputError(
        f"the run's config.json names the task {task!r}, which this version does not support"
    )


def _conditions(config: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, int]:
    """Numbers of classes and of attributes that a model takes."""
    return {
        "num_classes": len(data["class_names"]) if config["class_conditional"] else 0,
        "vector_features": len(data["attribute_names"]) if config["attribute_conditional"] else 0,
    }

"""Experiments from configs: their keys, their data and their networks."""

from pixelprior.experiment.build import build_model, build_prior, build_tokenizer
from pixelprior.experiment.changes import with_settings
from pixelprior.experiment.data import (
    SAME_PLACE,
    Place,
    at_place,
    count_classes,
    data_identity,
    open_data,
    reopen_data,
)
from pixelprior.experiment.of_model import check_rebuilds, model_settings
from pixelprior.experiment.plain import Config
from pixelprior.experiment.schema import TASKS, check_config, complete

__all__ = [
    "SAME_PLACE",
    "TASKS",
    "Config",
    "Place",
    "at_place",
    "build_model",
    "build_prior",
    "build_tokenizer",
    "check_config",
    "check_rebuilds",
    "complete",
    "count_classes",
    "data_identity",
    "model_settings",
    "open_data",
    "reopen_data",
    "with_settings",
]

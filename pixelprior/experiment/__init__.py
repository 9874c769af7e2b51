"""Experiments from configs: their keys, their data and their networks."""

from pixelprior.experiment.build import build_model, build_prior, build_tokenizer
from pixelprior.experiment.changes import with_settings
from pixelprior.experiment.data import count_classes, open_data
from pixelprior.experiment.of_model import check_rebuilds, model_settings
from pixelprior.experiment.schema import TASKS, check_config, complete

__all__ = [
    "TASKS",
    "build_model",
    "build_prior",
    "build_tokenizer",
    "check_config",
    "check_rebuilds",
    "complete",
    "count_classes",
    "model_settings",
    "open_data",
    "with_settings",
]

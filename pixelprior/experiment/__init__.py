"""What an experiment's config means: its keys, and the data and the networks that it describes."""

from pixelprior.experiment.build import build_model, build_prior, build_tokenizer
from pixelprior.experiment.data import count_classes, open_data
from pixelprior.experiment.schema import TASKS, check_config

__all__ = [
    "TASKS",
    "build_model",
    "build_prior",
    "build_tokenizer",
    "check_config",
    "count_classes",
    "open_data",
]

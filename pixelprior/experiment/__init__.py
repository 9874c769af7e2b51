"""Experiments from configs: their keys, their data and their networks.

Names are loaded on first use, since the names of the recipes need none of the libraries.
"""

from typing import TYPE_CHECKING

from pixelprior.lazy_names import lazy_names

if TYPE_CHECKING:
    from pixelprior.experiment.build import build_model, build_prior, build_tokenizer
    from pixelprior.experiment.changes import with_settings
    from pixelprior.experiment.data import (
        SAME_PLACE,
        Place,
        at_place,
        augmentation_of,
        count_attributes,
        count_classes,
        data_identity,
        describe_augmentation,
        open_data,
        reopen_data,
    )
    from pixelprior.experiment.of_model import check_rebuilds, model_settings
    from pixelprior.experiment.plain import Config
    from pixelprior.experiment.schema import TASKS, check_config, complete

_MODULES = {
    "Config": "pixelprior.experiment.plain",
    "Place": "pixelprior.experiment.data",
    "SAME_PLACE": "pixelprior.experiment.data",
    "TASKS": "pixelprior.experiment.schema",
    "at_place": "pixelprior.experiment.data",
    "augmentation_of": "pixelprior.experiment.data",
    "describe_augmentation": "pixelprior.experiment.data",
    "build_model": "pixelprior.experiment.build",
    "build_prior": "pixelprior.experiment.build",
    "build_tokenizer": "pixelprior.experiment.build",
    "check_config": "pixelprior.experiment.schema",
    "check_rebuilds": "pixelprior.experiment.of_model",
    "complete": "pixelprior.experiment.schema",
    "count_attributes": "pixelprior.experiment.data",
    "count_classes": "pixelprior.experiment.data",
    "data_identity": "pixelprior.experiment.data",
    "model_settings": "pixelprior.experiment.of_model",
    "open_data": "pixelprior.experiment.data",
    "reopen_data": "pixelprior.experiment.data",
    "with_settings": "pixelprior.experiment.changes",
}

__all__ = [
    "SAME_PLACE",
    "TASKS",
    "Config",
    "Place",
    "at_place",
    "augmentation_of",
    "describe_augmentation",
    "build_model",
    "build_prior",
    "build_tokenizer",
    "check_config",
    "check_rebuilds",
    "complete",
    "count_attributes",
    "count_classes",
    "data_identity",
    "model_settings",
    "open_data",
    "reopen_data",
    "with_settings",
]

__getattr__ = lazy_names(__name__, _MODULES)

"""Fingerprints of trained models: hashes of their settings, their data and their weights."""

from collections.abc import Mapping
from typing import Any

from pixelprior.experiment.schema import DATA_NEUTRAL, NEUTRAL, without_neutral
from pixelprior.nn.weights_hash import hash_weights
from pixelprior.runs.run import Run

NETWORK: dict[str, tuple[str, ...]] = {
    "pixels": (
        *("model", "class_conditional", "attribute_conditional", "label_dropout"),
        "distribution_augmentation",
    ),
    "tokenizer": ("tokenizer", "quantizer"),
    "prior": ("models", "context", "class_conditional", "attribute_conditional", "label_dropout"),
}
"""Keys of the config that describe the network of each task."""


def fingerprint_of(run: Run) -> str:
    """Hash the settings of a run's network, its data and its weights. 64 hexadecimal digits.

    Copies of a run have the same fingerprint. A newer version computes the same one.
    """
    about = _settings(run.task, run.config) | {"data": without_neutral(run.data, DATA_NEUTRAL)}
    if run.tokenizer is not None:
        assert run.tokenizer_config is not None  # a prior has both
        about["tokenizer"] = hash_weights(
            run.tokenizer, _settings("tokenizer", run.tokenizer_config)
        )
    return hash_weights(run.model, about)


def _settings(task: str, config: Mapping[str, Any]) -> dict[str, Any]:
    # Keys that older versions lack are left out, so that the fingerprint stays the same.
    return without_neutral({key: config[key] for key in NETWORK[task]}, NEUTRAL)

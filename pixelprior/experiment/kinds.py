"""Kinds of config keys: the keys that a resumed run may change.

Every key is of one kind. A nested key that is not listed belongs to the architecture, so its kind
is identity.
"""

import enum
from collections.abc import Mapping
from typing import Any

from pixelprior.experiment.differences import Change, ChangedKeys


class Kind(enum.Enum):
    """Kind of a config key."""

    IDENTITY = "identity"
    """The key tells which run this is, and never changes: data, symbols, architecture, seed."""

    SCHEDULE = "schedule"
    """A change applies from the next step on. The run folder records it with its step."""

    OPERATIONAL = "operational"
    """A change has no effect on the trained weights, up to rounding."""


_NAMES: dict[Kind, tuple[str, ...]] = {
    Kind.IDENTITY: (
        *("task", "seed", "dataset", "class_depth", "image_size", "validation_fraction"),
        *("levels", "binarisation", "class_conditional", "attribute_conditional"),
        *("trained_levels",),
        *("model", "models", "context", "tokenizer", "quantizer"),
        "runs",
    ),
    Kind.SCHEDULE: (
        *("num_steps", "batch_size", "accumulate_steps", "label_dropout"),
        "distribution_augmentation",
        *("flip", "crop_padding"),
        *("brightness_jitter", "contrast_jitter", "saturation_jitter", "hue_jitter"),
        *("optimizer", "schedule", "learning_rate", "warmup_steps", "weight_decay"),
        *("plateau_factor", "plateau_patience", "clip_norm", "skip_norm", "ema_decay"),
        # Early stopping and the plateau schedule count by checkpoints.
        *("patience", "checkpoint_every"),
        # Without an entry here, a nested key has the kind of the first part of its name.
        *("model.dropout_rate", "quantizer.commitment", "quantizer.decay", "quantizer.dead_share"),
        *("quantizer.gradient", "tokenizer.perceptual_weight"),
    ),
    Kind.OPERATIONAL: (
        *("log_every", "sample_every", "num_samples", "mesh", "model.remat"),
        *("data_dir", "skip_unreadable"),
    ),
}

KINDS: dict[str, Kind] = {name: kind for kind, names in _NAMES.items() for name in names}
"""Kind of each key. The keys of a nested mapping are joined by dots. "model." also applies to the
models of a prior.
"""


def kind_of_key(key: str) -> Kind:
    """Return the kind of a key, such as "num_steps" or "models.top.dropout_rate"."""
    first, *rest = key.split(".")
    if first == "models" and len(rest) > 1:
        # A model of a level has the same settings as a pixel model.
        return KINDS.get(f"model.{'.'.join(rest[1:])}", Kind.IDENTITY)
    return KINDS.get(key, KINDS.get(first, Kind.IDENTITY))


def changes_of_kind(changes: ChangedKeys, kind: Kind) -> ChangedKeys:
    """Select the changes of keys of one kind."""
    return {key: change for key, change in changes.items() if _kind(key, change) is kind}


def _kind(key: str, change: Change) -> Kind:
    # Above 0, the network has weights for a null class or for turns.
    adds_weights = key in ("label_dropout", "distribution_augmentation")
    if adds_weights and bool(change.there) != bool(change.now):
        return Kind.IDENTITY
    return kind_of_key(key)


def has_same_optimizer(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return True if the state of one config's optimizer is usable with the other config."""
    return before["optimizer"] == now["optimizer"] and (before["schedule"] == "plateau") == (
        now["schedule"] == "plateau"
    )

"""Differences between two configs, or two descriptions of data, key by key."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pixelprior.experiment.schema import without_neutral


class Change(NamedTuple):
    """Two values of a key, in types that JSON supports; None where the key is missing."""

    there: Any
    now: Any


ChangedKeys = dict[str, Change]
"""Changes by key; nested keys are joined by dots."""


def differences(
    there: Mapping[str, Any], now: Mapping[str, Any], neutral: Mapping[str, Any]
) -> ChangedKeys:
    """Return the keys that differ. A key with its neutral value counts as absent."""
    # Through JSON and back, like the files in a folder: a tuple becomes a list.
    trees = [json.loads(json.dumps(tree)) for tree in (there, now)]
    theirs, ours = map(_leaves, trees)
    kept, wanted = (_leaves(without_neutral(tree, neutral)) for tree in trees)
    return {
        key: Change(theirs.get(key), ours.get(key))
        for key in sorted(kept.keys() | wanted.keys())
        if key not in kept or key not in wanted or kept[key] != wanted[key]
    }


def in_words(changes: ChangedKeys) -> str:
    """Describe changes for people; empty if there are none."""
    return "; ".join(
        f"{key}: {_shown(there)} there, {_shown(now)} now" for key, (there, now) in changes.items()
    )


def _shown(value: Any) -> str:
    return "'nothing'" if value is None else f"{value!r:.80}"


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= _leaves(value, f"{prefix}{key}.")
        else:
            leaves[prefix + key] = value
    return leaves

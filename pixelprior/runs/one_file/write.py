"""Writing a run to one file."""

import dataclasses
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.numpy import save

from pixelprior.data.place import kind_of
from pixelprior.runs.fingerprint import fingerprint_of
from pixelprior.runs.one_file.layout import FORMAT, FORMAT_KEY
from pixelprior.runs.one_file.weights import stored_weights, with_stored
from pixelprior.runs.run import Run
from pixelprior.system.atomic import replacing

PACKAGES = ("pixelprior", "jax", "flax")
"""Packages whose versions a file records."""

_RESULTS = ("step", "best_step")


def write_file(run: Run, path: Path, dtype: str, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Write a run to a file, completely or not at all.

    The file names no folder and no image file of the user.

    Args:
        run: the run.
        path: the file; an older file is replaced.
        dtype: the type of the kernels, one of `DTYPES`.
        figures: results of the stored weights; see `measure_figures`.

    Returns:
        The metadata of the file.

    Raises:
        OSError: if the file cannot be written.
    """
    about: dict[str, Any] = {
        FORMAT_KEY: FORMAT,
        "config": public(run.config),
        "data": public(run.data),
        "tokenizer_config": None if run.tokenizer_config is None else public(run.tokenizer_config),
        "pixel_range": None if run.values is None else run.values._asdict(),
        "dtype": dtype,
        "step": run.step,
        "provenance": run.provenance,
        "metrics": _results(run),
        "figures": dict(figures),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    stored = stored_weights(run, dtype)
    loaded = dataclasses.replace(
        with_stored(run, stored),
        config=about["config"],
        data=about["data"],
        tokenizer_config=about["tokenizer_config"],
    )
    about["fingerprint"] = fingerprint_of(loaded)
    content = save(stored, {key: json.dumps(value) for key, value in about.items()})
    with replacing(path, durable=True) as temporary:
        temporary.write_bytes(content)
    return about


def public(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config, or facts about data, without folders of the user."""
    kept = dict(settings)
    for key in ("dataset", "name"):
        if kind := kind_of(str(kept.get(key, ""))):
            kept[key] = kind + Path(kept[key].removeprefix(kind)).name
    if kept.get("data_dir"):
        kept["data_dir"] = ""
    return kept


def _results(run: Run) -> list[dict[str, Any]]:
    """Validation and test results of the weights of a run."""
    found = []
    for record in run.metrics:
        kept = {
            key: value
            for key, value in record.items()
            if key in _RESULTS or key.startswith(("validation_", "test_"))
        }
        of_these_weights = record["step"] == run.step or "best_step" in record
        if of_these_weights and len(kept) > 1:
            found.append(kept)
    return found

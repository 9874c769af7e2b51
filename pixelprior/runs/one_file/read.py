"""Reading a run from one file. The file may come from anybody, so everything in it is checked."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flax import nnx
from safetensors import SafetensorError, safe_open

from pixelprior.data.pictures.pixel_range import PixelRange
from pixelprior.errors import InputError
from pixelprior.experiment import complete
from pixelprior.experiment.kept import check_together, kept_config, kept_facts
from pixelprior.experiment.schema import complete_data
from pixelprior.json_forms import is_number
from pixelprior.runs.fingerprint import fingerprint_of
from pixelprior.runs.one_file.layout import DTYPES, FORMAT, FORMAT_KEY, SCALE
from pixelprior.runs.one_file.quantise import is_kernel
from pixelprior.runs.one_file.weights import models_of, named, with_stored
from pixelprior.runs.rebuild import rebuild
from pixelprior.runs.run import Run

MOST_OF_A_KIND = 1000
"""Largest number of layers, heads or blocks. More of them would take hours to build."""

FEWEST = 2**16
"""Sizes of a network up to this number are accepted, however few weights it has."""

_KINDS: dict[str, type | tuple[type, ...]] = {
    "config": dict,
    "data": dict,
    "tokenizer_config": (dict, type(None)),
    "pixel_range": (dict, type(None)),
    "dtype": str,
    "step": int,
    "provenance": str,
    "metrics": list,
    "figures": dict,
    "versions": dict,
    "fingerprint": str,
}
"""Keys of the metadata and the types of their values."""

_SIZES = ("model", "models", "context", "tokenizer", "quantizer")
"""Keys of a config that hold sizes of a network."""


class Content(NamedTuple):
    """Content of an exported file, as it is written there.

    Attributes:
        about: the metadata.
        stored: the arrays by name.
    """

    about: dict[str, Any]
    stored: dict[str, np.ndarray]


def read_file(path: Path, name: str, bundled: str | None = None) -> Run:
    """Read a run from a file that `write_file` has written. All weights are in float32.

    Args:
        path: the file.
        name: the name by which the user knows the file.
        bundled: the name of the bundled model in this file; None for another file.

    Raises:
        InputError: if the file cannot be read, is damaged, or does not describe a model.
    """
    about, stored = read_content(path, name)
    config, data = complete(about["config"]), complete_data(about["data"])
    of_tokenizer = about["tokenizer_config"]
    of_tokenizer = None if of_tokenizer is None else complete(of_tokenizer)
    of_prior = config.get("task") == "prior"
    if (of_tokenizer or {}).get("task") != ("tokenizer" if of_prior else None):
        raise InputError(
            f"{name} must have a tokenizer if and only if it is a prior; export or download it "
            "again"
        )
    run = Run(
        model=_shapes_of(config, data, stored, name),
        config=config,
        data=data,
        provenance=_provenance(about, path, name, bundled),
        step=about["step"],
        tokenizer=None if of_tokenizer is None else _shapes_of(of_tokenizer, data, stored, name),
        tokenizer_config=of_tokenizer,
        source=name,
        pixel_range=_pixel_range(about["pixel_range"], name),
        records=about["metrics"],
    )
    _check_weights(run, about["dtype"], stored, name)
    run = with_stored(run, stored)
    if fingerprint_of(run) != about["fingerprint"]:
        raise InputError(
            f"{name} is damaged: its content does not match its fingerprint; export or download it "
            "again"
        )
    return run


def read_content(path: Path, name: str) -> Content:
    """Read the metadata and the arrays of a file, and check the types of the metadata.

    Raises:
        InputError: if the file cannot be read, or another program wrote it.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if FORMAT_KEY not in metadata:
                raise InputError(
                    f"{name} is a safetensors file of another program; `pixelprior export` writes "
                    "one that can be loaded"
                )
            about = _parsed(metadata, name)
            return Content(about, {key: file.get_tensor(key) for key in file.keys()})
    except OSError as error:
        raise InputError(
            f"{name} cannot be read ({error.strerror or error}); give a file of `pixelprior export`"
        ) from error
    # A type that NumPy does not have is a TypeError.
    except (SafetensorError, TypeError) as error:
        raise InputError(
            f"{name} is damaged or no safetensors file ({error}); export or download it again"
        ) from error


def _parsed(metadata: Mapping[str, str], name: str) -> dict[str, Any]:
    form = metadata[FORMAT_KEY]
    if not form.isdecimal() or int(form[:9]) > FORMAT:
        raise InputError(
            f"{name} has format {form!r:.20}, but this version reads formats up to {FORMAT}; "
            "upgrade pixelprior"
        )
    about = {}
    for key, kinds in _KINDS.items():
        try:
            about[key] = json.loads(metadata[key])
        # The key is missing, its value is not JSON, or its nesting is too deep.
        except (KeyError, ValueError, RecursionError) as error:
            raise InputError(
                f"{name} has no readable metadata {key!r}; export or download it again"
            ) from error
        if not isinstance(about[key], kinds) or isinstance(about[key], bool):
            raise InputError(
                f"the metadata {key!r} of {name} has another type than expected, got "
                f"{about[key]!r:.80}; export or download it again"
            )
    if about["dtype"] not in DTYPES:
        raise InputError(
            f"{name} stores kernels as {about['dtype']!r:.20}, expected {', '.join(DTYPES)}; "
            "upgrade pixelprior"
        )
    if not about["provenance"].isprintable():
        raise InputError(
            f"the metadata 'provenance' of {name} is no line of text, got "
            f"{about['provenance']!r:.80}; export or download it again"
        )
    if not all(isinstance(r, dict) and type(r.get("step")) is int for r in about["metrics"]):
        raise InputError(f"{name} has results without a step; export or download it again")
    if not all(is_number(value) for record in about["metrics"] for value in record.values()):
        raise InputError(f"{name} has results that are no numbers; export or download it again")
    return about


def _shapes_of(
    config: Mapping[str, Any], data: Mapping[str, Any], stored: Mapping[str, np.ndarray], name: str
) -> Any:
    """Build a model whose weights have only shapes.

    Raises:
        InputError: if config and data do not describe a model, or one that is too large.
    """
    try:
        if config.get("task") == "compare":
            raise InputError("its task is a list of runs")
        check_together(kept_config(config, Path("config")), kept_facts(data, Path("data")), Path())
        num_weights = sum(values.size for values in stored.values())
        for key in _SIZES:
            _check_sizes(config.get(key), key, max(num_weights, FEWEST))
        return nnx.eval_shape(lambda: rebuild(config, data))
    # Settings of unknown origin may raise any error in a constructor.
    except Exception as error:
        reason = " ".join(str(error).split()) or repr(error)
        raise InputError(f"{name} does not describe a model ({reason[:300]})") from error


def _check_sizes(value: Any, key: str, most: int) -> None:
    """Raise an InputError if a network has larger sizes than its number of weights allows."""
    if isinstance(value, Mapping):
        for inner, setting in value.items():
            _check_sizes(setting, inner, most)
    elif isinstance(value, list | tuple):
        for setting in value:
            _check_sizes(setting, key, most)
    elif type(value) is int:
        most = MOST_OF_A_KIND if key.startswith("num_") else most
        if value > most:
            raise InputError(f"{key} is {value}, but the stored weights allow at most {most}")


def _check_weights(run: Run, dtype: str, stored: Mapping[str, np.ndarray], name: str) -> None:
    """Raise an InputError unless the arrays are exactly the weights of a model, and finite."""
    expected: dict[str, tuple[tuple[int, ...], str]] = {}
    for prefix, model in models_of(run).items():
        for key, leaf in named(model).items():
            kernel = is_kernel(key)
            expected[prefix + key] = (leaf.shape, dtype if kernel else "float32")
            if kernel and dtype == "int8":
                expected[prefix + key + SCALE] = (leaf.shape, "float32")
    missing, extra = (
        sorted(expected.keys() - stored.keys()),
        sorted(stored.keys() - expected.keys()),
    )
    if missing or extra:
        what, names = ("lacks", missing) if missing else ("has the unknown", extra)
        raise InputError(
            f"{name} {what} weights {', '.join(names[:3])!r:.200}, {len(names)} in all; export or "
            "download it again"
        )
    for key, (shape, wanted) in expected.items():
        values = stored[key]
        scale = key.endswith("kernel" + SCALE)
        fits = _is_scale_of(values.shape, shape) if scale else values.shape == shape
        if not fits or str(values.dtype) != wanted:
            raise InputError(
                f"the weights {key} in {name} are {values.dtype} {list(values.shape)}, but the "
                f"model needs {wanted} {list(shape)}; export or download it again"
            )
        if not np.isfinite(values.astype(np.float32)).all():
            raise InputError(
                f"the weights {key} in {name} are not finite; export another checkpoint"
            )


def _is_scale_of(scale: tuple[int, ...], kernel: tuple[int, ...]) -> bool:
    return len(scale) == len(kernel) and all(
        mine in (1, size) for mine, size in zip(scale, kernel, strict=True)
    )


def _provenance(about: Mapping[str, Any], path: Path, name: str, bundled: str | None) -> str:
    """Describe the weights of a file: their origin, their type and the file."""
    kept = about["provenance"]
    if about["dtype"] != "float32":
        kept += f", as {about['dtype']}"
    if bundled is not None:
        return f"bundled model {bundled} ({kept})"
    return f"{kept}, from {name if name.startswith('hf://') else path.name}"


def _pixel_range(kept: Mapping[str, Any] | None, name: str) -> PixelRange | None:
    if kept is None:
        return None
    fits = (
        set(kept) == set(PixelRange._fields)
        and kept["brightest"] in (1, 255)
        and kept["bits"] in range(17)
        and isinstance(kept["cut"], bool)
    )
    if not fits:
        raise InputError(
            f"{name} has no readable metadata 'pixel_range'; export or download it again"
        )
    return PixelRange(**kept)

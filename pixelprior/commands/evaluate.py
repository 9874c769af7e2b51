"""What ``evaluate.py`` does: a run's likelihood beside the yardsticks, as a table and as JSON."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from pixelprior.data import Dataset, Split, Symbols, evaluation_batches
from pixelprior.devices import check_batch_size, data_mesh
from pixelprior.errors import InputError
from pixelprior.evaluation.baselines import MAX_MIXTURE_IMAGES, baselines
from pixelprior.evaluation.likelihood import evaluate_likelihood
from pixelprior.experiment import open_data
from pixelprior.loading import load_trained
from pixelprior.report import say
from pixelprior.run_folder import probe_folder, write_atomically

BASELINE_SYMBOLS = 2**27
"""At most so many symbols of training images are given to the baselines: half a GiB."""


def evaluate_run(
    workdir: str | Path,
    *,
    split: str,
    json_file: str | Path | None,
    batch_size: int,
    baselines: bool,
    checkpoint: str,
    averaged: bool,
) -> dict[str, Any]:
    """Measures a run, prints a table and, if asked to, writes what it says as JSON.

    Returns:
        What the JSON file holds: what was measured, on what, and the results in nats per image and
        bits per dimension.

    Raises:
        InputError: if the run or its data cannot be read, or the JSON file cannot be written.
    """
    mesh = data_mesh()
    check_batch_size(batch_size, mesh)
    if json_file is not None:
        # Before the measuring, which may take long.
        try:
            probe_folder(Path(json_file).parent)
        except OSError as error:
            raise InputError(
                f"{json_file} cannot be written ({error.strerror}); make its folder, or give "
                "another --json"
            ) from error
        if Path(json_file).is_dir():
            raise InputError(f"{json_file} is a folder; give the name of a file")
    trained = load_trained(workdir, checkpoint=checkpoint, averaged=averaged)
    dataset, symbols, grid = open_data(trained.config)
    if grid != trained.model.grid:
        raise InputError(
            f"the run was trained on {trained.model.grid}, but {dataset.name} is now {grid}; "
            "the data set has changed since"
        )
    images = dataset.splits[split]
    likelihood = evaluate_likelihood(
        trained.model, images, symbols, batch_size=batch_size, mesh=mesh
    )
    result: dict[str, Any] = {
        "workdir": str(workdir),
        "model": trained.config["model"]["name"],
        "class_conditional": trained.config["class_conditional"],
        "weights": trained.weights,
        "dataset": dataset.name,
        "split": split,
        "split_description": images.description,
        "num_images": likelihood.num_images,
        "shape": list(dataset.shape),
        "symbols": symbols.describe(split),
        "nats": likelihood.nats,
        "nats_error": likelihood.nats_error,
        "bits_per_dim": likelihood.bits_per_dim,
    }
    if dataset.note:
        result["note"] = dataset.note
    if baselines:
        result["baselines"] = _measure_baselines(dataset, symbols, images)
    print(format_result(result))
    if json_file is not None:
        write_atomically(Path(json_file), json.dumps(result, indent=2) + "\n")
        say(f"results in {json_file}")
    return result


def _measure_baselines(dataset: Dataset, symbols: Symbols, test: Split) -> dict[str, Any]:
    size = math.prod(dataset.shape)
    train = _read(dataset.splits["train"], symbols, limit=BASELINE_SYMBOLS // size)
    validation = _read(dataset.splits["validation"], symbols, limit=MAX_MIXTURE_IMAGES)
    nats = baselines(train, validation, _read(test, symbols), symbols.levels)
    mixture = f"mixture of 50, fitted by EM to {min(len(train), MAX_MIXTURE_IMAGES):,} images"
    names = {
        "uniform": "uniform",
        "histogram": f"per-pixel histogram of {len(train):,} images",
        "mixture": mixture,
    }
    return {
        key: {
            "description": names[key],
            "nats": value,
            "bits_per_dim": value / (size * math.log(2.0)),
        }
        for key, value in nats.items()
    }


def _read(
    split: Split, symbols: Symbols, *, limit: int | None = None
) -> Int[np.ndarray, "n h w c"]:
    """A split's images as symbols, at most ``limit`` of them."""
    wanted = len(split) if limit is None else min(limit, len(split))
    images, read = [], 0
    for batch in evaluation_batches(split, symbols, batch_size=min(512, wanted)):
        images.append(batch["image"][batch["mask"]][: wanted - read])
        read += len(images[-1])
        if read == wanted:
            break
    return np.concatenate(images)


def format_result(result: Mapping[str, Any]) -> str:
    """The table for people, of what `evaluate_run` returns."""
    shape = "x".join(map(str, result["shape"]))
    given = ", given each image's class" if result["class_conditional"] else ""
    rows = [
        (row["description"], row["nats"], row["bits_per_dim"])
        for row in result.get("baselines", {}).values()
    ]
    rows.append((f"{result['model']}, {result['weights']}", result["nats"], result["bits_per_dim"]))
    width = max(len(name) for name, _, _ in rows)
    return "\n".join(
        [
            f"{result['dataset']} {shape}, {result['symbols']}; "
            f"{result['split']} split ({result['split_description']}), "
            f"{result['num_images']:,} images{given}",
            *([f"note: {result['note']}"] if "note" in result else []),
            "",
            f"{'':<{width}} {'nats/image':>12} {'bits/dim':>9}",
            *(f"{name:<{width}} {nats:>12.3f} {bits:>9.4f}" for name, nats, bits in rows),
            f"{'  standard error over images':<{width}} {result['nats_error']:>12.3f}",
        ]
    )

"""What ``evaluate.py`` does: a run measured on a split, as a table and as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixelprior.commands import evaluate_pixels, evaluate_prior, evaluate_tokenizer
from pixelprior.commands.run_samples import check_learned
from pixelprior.data import Dataset, Symbols
from pixelprior.devices import check_batch_size, data_mesh
from pixelprior.errors import InputError
from pixelprior.experiment import open_data
from pixelprior.loading import Trained, load_trained
from pixelprior.report import say
from pixelprior.run_folder import probe_folder, write_atomically


def evaluate_run(
    workdir: str | Path,
    *,
    split: str,
    json_file: str | Path | None,
    batch_size: int,
    baselines: bool,
    checkpoint: str,
    averaged: bool,
    num_samples: int = 0,
) -> dict[str, Any]:
    """Measures a run, prints a table and, if asked to, writes what it says as JSON.

    Args:
        workdir: the run folder.
        split: "test" or "validation".
        json_file: where to write the results, or None.
        batch_size: how many images to measure at once.
        baselines: whether to fit and measure the yardsticks too.
        checkpoint: "best" or "latest".
        averaged: whether to take the moving average of the weights.
        num_samples: how many samples of a class-conditional prior a classifier is to judge.

    Returns:
        What the JSON file holds: what was measured, on what, and the results.

    Raises:
        InputError: if the run or its data cannot be read, or the JSON file cannot be written.
    """
    mesh = data_mesh()
    check_batch_size(batch_size, mesh)
    if num_samples < 0:
        raise InputError(f"num_samples must be at least 0, got {num_samples}")
    if json_file is not None:
        check_writable(Path(json_file))
    trained = load_trained(workdir, checkpoint=checkpoint, averaged=averaged)
    if num_samples and not (trained.task == "prior" and trained.config["class_conditional"]):
        raise InputError("--num_samples is for class-conditional priors; leave it out")
    if num_samples:
        check_learned(trained)
    dataset, symbols = open_trained_data(trained)
    measure = {
        "pixels": evaluate_pixels,
        "tokenizer": evaluate_tokenizer,
        "prior": evaluate_prior,
    }[trained.task]
    result: dict[str, Any] = {
        "workdir": str(workdir),
        "task": trained.task,
        "weights": trained.weights,
        "dataset": dataset.name,
        "split": split,
        "split_description": dataset.splits[split].description,
        "shape": list(dataset.shape),
        "symbols": symbols.describe(split),
    }
    if dataset.note:
        result["note"] = dataset.note
    result |= measure.measure(
        trained,
        dataset,
        symbols,
        split,
        with_baselines=baselines,
        batch_size=batch_size,
        mesh=mesh,
        **({"num_samples": num_samples} if trained.task == "prior" else {}),
    )
    print("\n".join([*_heading(result), "", *measure.table(result)]))
    if json_file is not None:
        write_atomically(Path(json_file), json.dumps(result, indent=2) + "\n")
        say(f"results in {json_file}")
    return result


def open_trained_data(trained: Trained) -> tuple[Dataset, Symbols]:
    """The images that a run was trained on, and how their pixels become symbols.

    Raises:
        InputError: if there is no such data, or it is of another shape than it was.
    """
    dataset, symbols, grid = open_data(trained.tokenizer_config or trained.config)
    if list(grid.shape) != trained.data["shape"] or grid.levels != trained.data["levels"]:
        raise InputError(
            f"the run was trained on images of shape {trained.data['shape']} with "
            f"{trained.data['levels']} levels, but {dataset.name} now has {list(grid.shape)} and "
            f"{grid.levels}; the data set has changed since"
        )
    return dataset, symbols


def check_writable(json_file: Path) -> None:
    """Raises an InputError unless results can be written, before they are measured for long."""
    try:
        probe_folder(json_file.parent)
    except OSError as error:
        raise InputError(
            f"{json_file} cannot be written ({error.strerror}); make its folder, or give "
            "another --json"
        ) from error
    if json_file.is_dir():
        raise InputError(f"{json_file} is a folder; give the name of a file")


def _heading(result: Mapping[str, Any]) -> list[str]:
    """What was measured on what."""
    shape = "x".join(map(str, result["shape"]))
    given = ", given each image's class" if result.get("class_conditional") else ""
    return [
        f"{result['dataset']} {shape}, {result['symbols']}; "
        f"{result['split']} split ({result['split_description']}), "
        f"{result['num_images']:,} images{given}",
        *([f"note: {result['note']}"] if "note" in result else []),
    ]

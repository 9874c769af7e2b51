"""What ``evaluate.py`` does: a run measured on a split, as a table and as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pixelprior.data import Dataset, Symbols
from pixelprior.errors import InputError
from pixelprior.experiment import open_data
from pixelprior.runs.evaluate import pixels as evaluate_pixels
from pixelprior.runs.evaluate import prior as evaluate_prior
from pixelprior.runs.evaluate import samples as evaluate_samples
from pixelprior.runs.evaluate import tokenizer as evaluate_tokenizer
from pixelprior.runs.evaluate.samples import open_extractor
from pixelprior.runs.load import load_trained
from pixelprior.runs.run import Run
from pixelprior.runs.sample_set import FEWEST_SAMPLES, draw_samples, read_samples
from pixelprior.runs.samples import check_learned
from pixelprior.system.atomic import probe_folder, save_arrays, write_atomically
from pixelprior.system.console import say
from pixelprior.system.devices import check_batch_size, data_mesh
from pixelprior.training.run_folder import RunFolder


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
    samples: str | Path | None = None,
    features: str = "classifier",
    inception_weights: str | Path | None = None,
    per_image: str | Path | None = None,
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
        num_samples: how many samples are to be drawn and judged.
        samples: a file of samples to be judged instead; see `read_samples`.
        features: whose features samples are judged by: "classifier" or "inception".
        inception_weights: the file of Inception's weights, if they are not to be downloaded.
        per_image: where to write the values of each image, an ``.npz`` file, or None.

    Returns:
        What the JSON file holds: what was measured, on what, and the results.

    Raises:
        InputError: if the run or its data cannot be read, or the JSON file cannot be written.
    """
    mesh = data_mesh()
    check_batch_size(batch_size, mesh)
    if num_samples and num_samples < FEWEST_SAMPLES:
        raise InputError(f"num_samples must be 0 or at least {FEWEST_SAMPLES}, got {num_samples}")
    if num_samples and samples is not None:
        raise InputError("samples are drawn (--num_samples) or given (--samples), not both")
    judged = bool(num_samples) or samples is not None
    if not judged and (features != "classifier" or inception_weights is not None):
        raise InputError(
            "--features and --inception_weights are for samples; give --num_samples or --samples"
        )
    if inception_weights is not None and features != "inception":
        raise InputError("--inception_weights is for --features=inception; give both or none")
    for file in (json_file, per_image):
        if file is not None:
            check_writable(Path(file))
    trained = load_trained(workdir, checkpoint=checkpoint, averaged=averaged)
    # All that may be refused, before anything is measured for long.
    if judged and trained.task == "tokenizer":
        raise InputError("a tokenizer has no samples to be judged; train a prior on its codes")
    if num_samples and trained.task == "prior":
        check_learned(trained)
    dataset, symbols = data = open_trained_data(trained)
    given = None if samples is None else read_samples(samples, trained)
    extractor = open_extractor(features, dataset, inception_weights) if judged else None
    result, values = measure_split(
        trained, workdir, data, split, with_baselines=baselines, batch_size=batch_size, mesh=mesh
    )
    folder = RunFolder(workdir)
    folder.keep_evaluation(split, result)
    if per_image is not None:
        save_arrays(Path(per_image), values)
        say(f"values of each image in {per_image}")
    lines = _MEASURES[trained.task].table(result)
    print("\n".join([*_heading(result), "", *lines]), flush=True)
    if extractor is not None:
        picture = folder.evaluation / "nearest.png"
        if samples is not None:
            picture = Path(samples).with_suffix(".nearest.png")
        if given is None:
            given = draw_samples(
                workdir, trained, num_samples, checkpoint=checkpoint, averaged=averaged
            )
        result["samples"] = evaluate_samples.measure(
            trained, dataset, symbols, split, given, extractor, picture
        )
        # Of a file only its own words say what drew it, so a report does not take it for the run's.
        if samples is None:
            kept = {"weights": trained.provenance, **result["samples"]}
            folder.keep_evaluation(f"{split}_samples", kept)
        print("\n".join(["", *evaluate_samples.table(result["samples"], split)]))
    if json_file is not None:
        write_atomically(Path(json_file), json.dumps(result, indent=2) + "\n")
        say(f"results in {json_file}")
    return result


_MEASURES = {"pixels": evaluate_pixels, "tokenizer": evaluate_tokenizer, "prior": evaluate_prior}


def measure_split(
    trained: Run,
    workdir: str | Path,
    data: tuple[Dataset, Symbols],
    split: str,
    *,
    with_baselines: bool,
    batch_size: int,
    mesh: jax.sharding.Mesh,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Measures what was trained in a run on a split, whatever it is.

    Args:
        trained: it.
        workdir: the run folder.
        data: see `open_trained_data`.
        split: "test" or "validation".
        with_baselines: whether to fit and measure the yardsticks too.
        batch_size: how many images to measure at once.
        mesh: the devices.

    Returns:
        What was measured, on what, and the results, as JSON can tell them; and the values of each
        image.
    """
    dataset, symbols = data
    measured, values = _MEASURES[trained.task].measure(
        trained,
        dataset,
        symbols,
        split,
        with_baselines=with_baselines,
        batch_size=batch_size,
        mesh=mesh,
    )
    return {
        "workdir": str(workdir),
        "task": trained.task,
        "weights": trained.provenance,
        "dataset": dataset.name,
        "split": split,
        "split_description": dataset.splits[split].description,
        "shape": list(dataset.shape),
        "symbols": symbols.describe(split),
        **({"note": dataset.note} if dataset.note else {}),
        **measured,
    }, values


def open_trained_data(trained: Run) -> tuple[Dataset, Symbols]:
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
            "another file"
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

"""Evaluation of a run on a split for ``evaluate.py``: tables and files."""

from pathlib import Path
from typing import Any

import numpy as np

from pixelprior.cli.results import check_writable, write_json
from pixelprior.cli.tables.evaluation import evaluation_table, samples_table
from pixelprior.experiment import SAME_PLACE, Place
from pixelprior.figures.sheets import save_grid
from pixelprior.runs.evaluate.evaluation import prepare
from pixelprior.runs.load import load_trained
from pixelprior.system.atomic import save_arrays
from pixelprior.system.console import Terminal, say, show


def evaluate_run(
    workdir: str | Path,
    *,
    split: str = "test",
    limit: int = 0,
    json_file: str | Path | None = None,
    batch_size: int = 64,
    baselines: bool = True,
    marginal: bool = False,
    checkpoint: str = "best",
    averaged: bool = True,
    num_samples: int = 0,
    samples: str | Path | None = None,
    features: str = "classifier",
    inception_weights: str | Path | None = None,
    per_image: str | Path | None = None,
    place: Place = SAME_PLACE,
) -> dict[str, Any]:
    """Measure a run, print tables, and keep the results in the run folder.

    Args:
        workdir: the run folder, or another place of a run that `load_trained` accepts.
        split: "test" or "validation".
        limit: measure only so many images, the first of the split, and keep no results; 0 for all.
        json_file: the file for the results as JSON, or None.
        batch_size: the number of images to measure at once.
        baselines: fit and measure the baselines too.
        marginal: measure a class-conditional pixel model without classes too.
        checkpoint: "best" or "latest".
        averaged: take the moving average of the weights.
        num_samples: the number of samples to draw and judge.
        samples: a file of samples to judge instead of new ones; see `read_samples`.
        features: the network whose features are compared: "classifier" or "inception".
        inception_weights: the file of Inception's weights; by default they are downloaded.
        per_image: an ``.npz`` file for the values of each image, or None.
        place: the place of the data, if they have moved.

    Returns:
        The content of the JSON file: the run, the images and the results.

    Raises:
        InputError: if the run or its data cannot be read, or a file cannot be written.
    """
    check_writable(json_file)
    check_writable(per_image)
    report = Terminal()
    run = load_trained(
        workdir, checkpoint=checkpoint, averaged=averaged, **place._asdict(), report=report
    )
    folder = run.folder  # None for a run from a file, whose results are not kept
    evaluation = prepare(
        run,
        split=split,
        limit=limit,
        batch_size=batch_size,
        baselines=baselines,
        marginal=marginal,
        num_samples=num_samples,
        samples=samples,
        features=features,
        inception_weights=inception_weights,
        report=report,
    )
    result, values = evaluation.on_split()
    if folder is not None and not evaluation.held.is_limited:
        folder.keep_evaluation(split, result, report)
    if per_image is not None:
        save_arrays(Path(per_image), values)
        say(f"values of each image in {per_image}")
    show(evaluation_table(result))
    judged = evaluation.of_samples()
    if judged is not None:
        picture = None if folder is None else folder.evaluation / "nearest.png"
        if samples is not None:
            picture = Path(samples).with_suffix(".nearest.png")
        if judged.nearest is not None and picture is not None:
            rows = judged.nearest.astype(np.int32)
            save_grid(rows.reshape(-1, *rows.shape[2:]), 256, picture, columns=rows.shape[1])
            say(f"the samples nearest to training images, above those, in {picture}")
        result["samples"] = judged.result
        # A file can hold samples of another run, so reports do not show them.
        if samples is None and folder is not None:
            folder.keep_evaluation(f"{split}_samples", run.identity | judged.result, report)
        show(["", *samples_table(judged.result, split)])
    write_json(json_file, result)
    return result

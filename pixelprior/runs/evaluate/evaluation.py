"""Evaluation of a run on a split of its data and, if requested, of its samples."""

import dataclasses
from pathlib import Path
from typing import Any

from pixelprior.errors import InputError
from pixelprior.evaluation.features import Extractor
from pixelprior.progress import Caution, Finished, Report, only_warnings
from pixelprior.runs.evaluate.marginal import check_has_marginal, measure_marginal
from pixelprior.runs.evaluate.measure import JOBS, Held, Measure, Measured
from pixelprior.runs.evaluate.pixels import measure_pixels
from pixelprior.runs.evaluate.prior import measure_prior
from pixelprior.runs.evaluate.samples import Judged, judge, open_extractor
from pixelprior.runs.evaluate.tokenizer import measure_tokenizer
from pixelprior.runs.run import Run
from pixelprior.runs.sample_set import FEWEST_SAMPLES, SampleSet, draw_samples, read_samples
from pixelprior.runs.samples import check_learned
from pixelprior.system.devices import data_mesh, even_batch_size

MEASURES: dict[str, Measure] = {
    "pixels": measure_pixels,
    "tokenizer": measure_tokenizer,
    "prior": measure_prior,
}
"""Measure of each task."""


def evaluate(
    run: Run,
    *,
    split: str = "test",
    limit: int = 0,
    batch_size: int = 64,
    baselines: bool = True,
    marginal: bool = False,
    num_samples: int = 0,
    samples: str | Path | None = None,
    features: str = "classifier",
    inception_weights: str | Path | None = None,
    report: Report = only_warnings,
) -> Measured:
    """Measure a run on a split and, if requested, judge samples.

    Args:
        run: the run.
        split: "test" or "validation".
        limit: measure only so many images, the first of the split; 0 for all.
        batch_size: the number of images to measure at once.
        baselines: fit and measure the baselines too.
        marginal: measure a class-conditional pixel model without classes too.
        num_samples: the number of samples to draw and judge.
        samples: a file of samples to judge instead of new ones; see `read_samples`.
        features: the network whose features are compared: "classifier" or "inception".
        inception_weights: the file of Inception's weights; by default they are downloaded.
        report: receives the progress.

    Returns:
        The results in types that JSON supports, and the values of each image. The results of
        samples have the key "samples".

    Raises:
        InputError: if the run does not support the request; raised before any measurement.
    """
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
    measured = evaluation.on_split()
    judged = evaluation.of_samples()
    if judged is not None:
        measured.result["samples"] = judged.result
    return measured


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """An evaluation with checked settings; see `prepare`.

    Attributes:
        run: the run.
        held: the images to measure on.
        baselines: fit and measure the baselines too.
        marginal: measure a class-conditional pixel model without classes too.
        num_samples: the number of samples to draw and judge.
        given: samples to judge instead of new ones; None to draw them.
        extractor: the network whose features are compared; None if no samples are judged.
        report: receives the progress.
    """

    run: Run
    held: Held
    baselines: bool
    marginal: bool
    num_samples: int
    given: SampleSet | None
    extractor: Extractor | None
    report: Report

    def on_split(self) -> Measured:
        """Measure the run on the split."""
        return measure(self.run, self.held, baselines=self.baselines, marginal=self.marginal)

    def of_samples(self) -> Judged | None:
        """Judge samples; None if this was not requested."""
        if self.extractor is None:
            return None
        samples = self.given or draw_samples(self.run, self.num_samples, self.report)
        return judge(self.run, self.held, samples, self.extractor, self.report)


def prepare(
    run: Run,
    *,
    split: str,
    limit: int = 0,
    batch_size: int,
    baselines: bool,
    marginal: bool = False,
    num_samples: int = 0,
    samples: str | Path | None = None,
    features: str = "classifier",
    inception_weights: str | Path | None = None,
    report: Report = only_warnings,
) -> Evaluation:
    """Check the settings of an evaluation. Arguments and errors are those of `evaluate`."""
    for name, value in (("baselines", baselines), ("marginal", marginal)):
        if not isinstance(value, bool):
            raise InputError(f"{name} must be True or False, got {value!r:.80}")
    if num_samples and not FEWEST_SAMPLES <= num_samples < 2**31:
        raise InputError(
            f"num_samples must be 0, or in [{FEWEST_SAMPLES}, 2**31), got {num_samples}"
        )
    if num_samples and samples is not None:
        raise InputError("samples are drawn (--num_samples) or given (--samples), not both")
    judged = bool(num_samples) or samples is not None
    if not judged and (features != "classifier" or inception_weights is not None):
        raise InputError(
            "--features and --inception_weights are for samples; give --num_samples or --samples"
        )
    if judged and limit:
        raise InputError(
            "limit is for the results on a split, but samples are compared with all its images; "
            "leave out limit, or the samples"
        )
    if inception_weights is not None and features != "inception":
        raise InputError("--inception_weights is for --features=inception; give both or none")
    if marginal:
        check_has_marginal(run)
    if judged and run.task == "tokenizer":
        raise InputError("a tokenizer has no samples to be judged; train a prior on its codes")
    if num_samples and run.task == "prior":
        check_learned(run)
    held = hold(run, split, batch_size, report, limit=limit, compared=baselines or judged)
    if judged and len(held.images) < FEWEST_SAMPLES:
        raise InputError(
            f"samples are compared with at least {FEWEST_SAMPLES} {split} images, but there are "
            f"{len(held.images)}; leave --num_samples and --samples out, or train on more images"
        )
    given = None if samples is None else read_samples(samples, run)
    # This is the last check, because it may have to train a classifier.
    extractor = None
    if judged:
        extractor = open_extractor(features, held.dataset, inception_weights, report)
    return Evaluation(run, held, baselines, marginal, num_samples, given, extractor, report)


def hold(
    run: Run,
    split: str,
    batch_size: int,
    report: Report = only_warnings,
    *,
    limit: int = 0,
    compared: bool = False,
) -> Held:
    """Open the images of one split of the data of a run.

    Args:
        run: the run.
        split: the name of the split.
        batch_size: the number of images to measure at once, rounded up to a multiple of the
            devices.
        report: receives remarks about the data.
        limit: hold only so many images, the first of the split; 0 for all.
        compared: also check the other splits, which baselines and comparisons use.

    Raises:
        InputError: if there is no such split, its files are no longer those of the run, or
            ``batch_size`` or ``limit`` is not a number of images.
    """
    if type(limit) is not int or limit < 0:
        raise InputError(f"limit must be a number of images, or 0 for all, got {limit!r}")
    mesh = data_mesh()
    batch_size = even_batch_size(batch_size, mesh)
    dataset, symbols = run.open_data(report)
    images = dataset.split(split)
    dataset.check_unchanged(split)
    for other, changes in dataset.changes.items() if compared else ():
        dataset.split(other)  # raises if all its images are gone
        report(
            Caution(
                f"the {other} images are no longer those of the run: {changes.words()}; baselines "
                "and comparisons use the others"
            )
        )
    chosen = images.first(limit) if limit else images
    return Held(dataset, symbols, chosen, batch_size, mesh, report)


def measure(run: Run, held: Held, *, baselines: bool, marginal: bool = False) -> Measured:
    """Measure a run on a split, with the measure of its task."""
    try:
        result, per_image = MEASURES[run.task](run, held, baselines=baselines)
        if marginal:
            without = measure_marginal(run, held)
            result, per_image = result | without.result, per_image | without.per_image
    finally:
        for job in JOBS:
            held.report(Finished(job))
    dataset = held.dataset
    about: dict[str, Any] = {
        **({"workdir": run.place} if run.folder or run.source else {}),
        "task": run.task,
        "weights": run.provenance,
        **({"checkpoint": run.identity["checkpoint"]} if run.folder else {}),
        "dataset": dataset.name,
        "split": held.images.name,
        "split_description": held.images.description,
        **({"limit": len(held.images)} if held.is_limited else {}),
        "shape": list(dataset.shape),
        "symbols": held.symbols.describe(held.images.name),
        **({"note": dataset.note} if dataset.note else {}),
        **({"contents": dataset.contents} if dataset.contents else {}),
        **({"reading": dataset.reading} if dataset.name.startswith("folder:") else {}),
    }
    return Measured(about | result, per_image)

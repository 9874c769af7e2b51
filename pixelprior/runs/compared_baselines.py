"""Baselines of compared runs. Runs of one group share them, so each is measured once."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pixelprior.progress import Report, only_warnings
from pixelprior.runs.compared import HEADLINES, ComparedRun, keep
from pixelprior.runs.evaluate.evaluation import hold
from pixelprior.runs.evaluate.pixels import pixel_baselines
from pixelprior.runs.evaluate.tokenizer import tokenizer_baselines
from pixelprior.runs.run import Run


class Baseline(NamedTuple):
    """Results of a baseline.

    Attributes:
        description: the name of the baseline, and the data that it was fitted to.
        measured: its results, under the keys of the results of runs.
    """

    description: str
    measured: Mapping[str, float]


def baselines_of(runs: Sequence[ComparedRun]) -> list[Baseline]:
    """Return the baselines of a group of comparable runs, the best first."""
    found: dict[str, Baseline] = {}
    for run in runs:
        for baseline in _of_run(run):
            found.setdefault(baseline.description, baseline)
    if not found:
        return []
    key = HEADLINES[runs[0].task][0]
    return sorted(found.values(), key=lambda baseline: baseline.measured[key])


def without_baselines(runs: Sequence[ComparedRun]) -> list[ComparedRun]:
    """Return the runs of a group for which baselines must be measured.

    One pixel model is enough. A tokenizer is compared with PCA of as many bits, so there is one run
    for each number of bits.
    """
    there = {_kind(run) for run in runs if _of_run(run)}
    # A run from a file has no records of its training, and keeps nothing. The best run comes last.
    keeping_last = sorted(reversed(runs), key=lambda run: run.training.steps > 0)
    missing = {_kind(run): run for run in keeping_last if run.task != "prior"}
    return [run for kind, run in missing.items() if kind not in there]


def with_baselines(
    run: Run, compared: ComparedRun, *, batch_size: int, report: Report = only_warnings
) -> ComparedRun:
    """Measure the baselines of a run, and keep them with its results.

    Args:
        run: a run of a pixel model or a tokenizer; it needs no weights.
        compared: its results.
        batch_size: the number of images to measure at once.
        report: receives the progress.

    Raises:
        InputError: if the data of the run cannot be read, or has too few images for a baseline.
    """
    split = compared.measured["split"]
    held = hold(run, split, batch_size, report, compared=True)
    baselines = (
        pixel_baselines(held)
        if run.task == "pixels"
        else tokenizer_baselines(held, int(compared.measured["code_bits"]))
    )
    measured = {**compared.measured, "baselines": baselines}
    keep(run, split, measured, report)
    return compared._replace(measured=measured)


def _kind(run: ComparedRun) -> Any:
    """Identify the baselines of a run among those on the same images."""
    return run.measured["code_bits"] if run.task == "tokenizer" else None


def _of_run(run: ComparedRun) -> list[Baseline]:
    if run.task == "prior":
        return _of_prior(run.measured["levels"])
    return [
        Baseline(
            row["description"], {key: value for key, value in row.items() if key != "description"}
        )
        for row in run.measured.get("baselines", {}).values()
    ]


def _of_prior(levels: Mapping[str, Mapping[str, Any]]) -> list[Baseline]:
    """Add up the levels' bits under the uniform distribution, and under the codes' frequencies."""
    # A level of exactly 0 bits per code does not tell its number of codes.
    if not all(level.get("bits_per_code") for level in levels.values()):
        return []
    codes = [level["nats"] / math.log(2.0) / level["bits_per_code"] for level in levels.values()]
    found = []
    for key, description in (
        ("uniform_bits", "uniform"),
        ("unigram_bits", "frequencies of the codes in training"),
    ):
        if all(key in level for level in levels.values()):
            bits = sum(level[key] * num for level, num in zip(levels.values(), codes, strict=True))
            measured = {"nats": bits * math.log(2.0), "bits_per_code": bits / sum(codes)}
            found.append(Baseline(description, measured))
    return found

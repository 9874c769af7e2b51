"""Results of one run, for a comparison with others: kept in its folder, or measured."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from flax import nnx

from pixelprior.errors import InputError
from pixelprior.evaluation.comparison import Training, recorded_test, training_of
from pixelprior.experiment import data_identity
from pixelprior.progress import Caution, Report, only_warnings
from pixelprior.runs.evaluate.evaluation import hold, measure
from pixelprior.runs.kept_results import COSTS, OF_SAMPLES, ON_SPLIT
from pixelprior.runs.run import Run

HEADLINES = {
    "pixels": ("nats", "nats/image"),
    "tokenizer": ("squared_error", "squared error"),
    "prior": ("nats", "nats/image"),
}
"""For each task, the key and the label of the result that ranks runs; lower is better."""


class ComparedRun(NamedTuple):
    """Results of a run.

    Attributes:
        name: the name of the run.
        place: the folder or the file of the run.
        config: the config of the run.
        data: the facts about its training data; see `RunFolder`.
        group: the task, the data and the tokenizer. Only runs of equal groups can be ranked.
        num_parameters: the number of trained weights; None if it is not known.
        training: see `Training`.
        start: date, command, Python, machine, versions and devices of the training, as far as
            they are recorded; see `pixelprior.training.history`.
        measured: results on the split: all of them, or at least the headline.
        samples: results of samples, if they were judged before.
        cost: the costs, if they were measured before.
    """

    name: str
    place: str
    config: Mapping[str, Any]
    data: Mapping[str, Any]
    group: tuple[Any, ...]
    num_parameters: int | None
    training: Training
    start: Mapping[str, Any]
    measured: Mapping[str, Any]
    samples: Mapping[str, Any] | None
    cost: Mapping[str, Any] | None

    @property
    def task(self) -> str:
        """Task of the run: "pixels", "tokenizer" or "prior"."""
        return self.config["task"]

    @property
    def headline(self) -> float:
        """Result that ranks the run; lower is better."""
        return self.measured[HEADLINES[self.task][0]]


def gather(
    name: str, run: Run, split: str, *, batch_size: int, whole: bool, report: Report = only_warnings
) -> ComparedRun:
    """Collect the results in the folder of a run, and measure those that are missing.

    A run from a file is measured anew, because its kernels may be rounded.

    Args:
        name: the name of the run.
        run: the run, with the averaged weights of its best checkpoint.
        split: "test" or "validation".
        batch_size: the number of images to measure at once.
        whole: return all results on the split. If False, the test nats that a pixel run recorded at
            its end are enough.
        report: receives the progress.

    Raises:
        InputError: if the data of the run cannot be read.
    """
    run.check_images(split, report=report)
    measured = _kept(run, split, report)
    if measured is None:
        recorded = recorded_test(run.metrics) if split == "test" and not whole else None
        if recorded is not None and run.folder is not None:
            measured = dict(zip(("nats", "bits_per_dim"), recorded, strict=True))
        else:
            measured, _ = measure(run, hold(run, split, batch_size, report), baselines=False)
            keep(run, split, measured, report)
    return _compared(name, run, split, measured, report)


def gather_kept(
    name: str, run: Run, split: str, report: Report = only_warnings
) -> ComparedRun | None:
    """Collect the results in the folder of a run; None if those on the split are missing.

    Arguments and errors are those of `gather`. The run needs no weights.
    """
    measured = _kept(run, split)
    if measured is None:
        return None
    run.check_images(split, report=report)
    return _compared(name, run, split, measured, report)


def keep(run: Run, split: str, result: Mapping[str, Any], report: Report = only_warnings) -> None:
    """Keep the results on a split in the folder of a run. A run without a folder keeps nothing."""
    if run.folder is not None:
        run.folder.keep_evaluation(split, result, report)


def _kept(run: Run, split: str, report: Report = lambda _: None) -> Mapping[str, Any] | None:
    if run.folder is None:
        return None
    kept = run.folder.kept_evaluation(split, ON_SPLIT[run.task], report)
    return kept if _is_of(kept, run) else None


def _compared(
    name: str, run: Run, split: str, measured: Mapping[str, Any], report: Report
) -> ComparedRun:
    """Add everything else that is known about a run to its results on the split."""
    folder, data, records = run.folder, run.data, run.metrics
    samples = cost = None
    if folder is not None:
        samples = folder.kept_evaluation(f"{split}_samples", OF_SAMPLES, report)
        cost = folder.kept_evaluation("cost", COSTS, report)
    return ComparedRun(
        name=name,
        place=run.place,
        config=run.config,
        data=data,
        group=(
            run.task,
            data_identity(data),
            tuple(data["shape"]),
            data["symbols"][split],
            data["splits"][split]["description"],
            data.get("tokenizer", "")[:16],
        ),
        num_parameters=_num_parameters(run, records),
        training=training_of(
            records, run.config["batch_size"], f"validation_{HEADLINES[run.task][0]}"
        ),
        start=_start(run, report),
        measured=measured,
        samples=samples if _is_of(samples, run) else None,
        cost=cost,
    )


def _num_parameters(run: Run, records: Any) -> int | None:
    """Count the trained weights, or read their number from the records."""
    if run.model is not None:
        return sum(weight.size for weight in jax.tree.leaves(nnx.state(run.model, nnx.Param)))
    found = [record["num_parameters"] for record in records if "num_parameters" in record]
    return found[-1] if found else None


def _start(run: Run, report: Report) -> Mapping[str, Any]:
    """Read the circumstances of the training; empty if they are not recorded."""
    if run.folder is None:
        return {}
    try:
        history = run.folder.history()
    except InputError as error:
        report(Caution(str(error)))
        return {}
    return history.surroundings | history.started


def _is_of(kept: Mapping[str, Any] | None, run: Run) -> bool:
    """Check that a kept result was measured with these weights, on the images of the run."""
    return kept is not None and all(
        kept.get(key, "") == value for key, value in run.identity.items()
    )

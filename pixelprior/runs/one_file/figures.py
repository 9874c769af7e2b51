"""Results of a run that is exported: those of its training, or measured as they are stored."""

from collections.abc import Mapping
from typing import Any

from pixelprior.errors import InputError
from pixelprior.progress import Message, Report
from pixelprior.runs.evaluate.evaluation import hold, measure
from pixelprior.runs.one_file.weights import stored_weights, with_stored
from pixelprior.runs.run import Run

SPLIT = "test"
BATCH_SIZE = 64

RESULTS = {
    "pixels": ("nats", "bits_per_dim"),
    "tokenizer": ("squared_error", "psnr", "bits_per_dim"),
    "prior": ("nats", "bits_per_code", "bits_per_dim"),
}
"""Names of the results of each task that a file records."""

COST = {
    "pixels": ("bits_per_dim", "bits/dim"),
    "tokenizer": ("squared_error", "squared error"),
    "prior": ("bits_per_code", "bits/code"),
}
"""Name and unit of the result that says what stored kernels cost."""


def measure_figures(run: Run, dtype: str, report: Report) -> dict[str, Any]:
    """Measure a run on its test split, in float32 and as a file of this type stores it.

    Args:
        run: the run.
        dtype: the type of the kernels in the file.
        report: receives the cost of this type, or the reason why it cannot be measured.

    Returns:
        The split, the number of images, and the results by type. Empty without the data.
    """
    try:
        held = hold(run, SPLIT, BATCH_SIZE, report)
    except InputError as error:
        report(Message(f"the cost of {dtype} was not measured: {error}"))
        return {}
    stored = with_stored(run, stored_weights(run, dtype))
    results = {}
    for name, one in {"float32": run, dtype: stored}.items():
        found, _ = measure(one, held, baselines=False)
        results[name] = {key: found[key] for key in RESULTS[run.task] if key in found}
    figures = {
        "split": held.images.name,
        "images": len(held.images),
        "symbols": held.symbols.describe(held.images.name),
        "results": results,
    }
    if dtype != "float32":
        report(Message(cost_in_words(run.task, figures, dtype)))
    return figures


def cost_of_type(task: str, figures: Mapping[str, Any], dtype: str) -> float | None:
    """Return how much a result grows by storing kernels in a type; None if not measured."""
    results = figures.get("results", {})
    if not {"float32", dtype} <= set(results):
        return None
    key = COST[task][0]
    return results[dtype][key] - results["float32"][key]


def cost_in_words(task: str, figures: Mapping[str, Any], dtype: str) -> str:
    """Sentence about the cost of a type, from measured figures."""
    key, unit = COST[task]
    before, after = (figures["results"][name][key] for name in ("float32", dtype))
    digits = 6 if task == "tokenizer" else 4
    return (
        f"{dtype} costs {after - before:+.{digits}f} {unit} on {figures['images']:,} "
        f"{figures['split']} images: {before:.{digits}f} in float32, {after:.{digits}f} in {dtype}"
    )

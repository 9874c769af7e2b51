"""Function that evaluates a run on held-out images."""

from pathlib import Path
from typing import Any

from pixelprior.progress import Report, only_warnings
from pixelprior.runs.evaluate import evaluate as measure
from pixelprior.runs.run import Run
from pixelprior.system.compilation_cache import keep_compiled_programs
from pixelprior.verbs.arguments import loaded


def evaluate(
    run: Run | str | Path,
    *,
    split: str = "test",
    limit: int = 0,
    batch_size: int = 64,
    baselines: bool = True,
    marginal: bool = False,
    num_samples: int = 0,
    report: Report = only_warnings,
) -> dict[str, Any]:
    """Measure a run on a split, with baselines on the same images.

    Examples:
        >>> pp.evaluate(run)["bits_per_dim"]

    Args:
        run: a run, as from `fit` or `load_trained`, or a place that `load_trained` accepts.
        split: "test" or "validation".
        limit: measure only so many images, the first of the split; 0 for all.
        batch_size: the number of images in a batch, over all devices.
        baselines: fit and measure the baselines too.
        marginal: measure a class-conditional pixel model without classes too. An image is scored
            under every class, in one order. The results have ``marginal_nats``, comparable with
            models without classes, ``marginal_bits_per_dim`` and ``class_accuracy``.
        num_samples: the number of samples to draw and compare with real images; 0 for none.
        report: receives the progress.

    Returns:
        The results of ``evaluate.py --json``. Pixel models have ``nats`` per image with the
        standard error ``nats_error``, and ``bits_per_dim``. Tokenizers have ``squared_error``,
        ``psnr`` and more. Priors have ``nats``, ``bits_per_code`` and ``levels``.

    Raises:
        InputError: if the run or its data cannot be read, or a setting does not fit them.
    """
    keep_compiled_programs()
    return measure(
        loaded(run, report),
        split=split,
        limit=limit,
        batch_size=batch_size,
        baselines=baselines,
        marginal=marginal,
        num_samples=num_samples,
        report=report,
    ).result

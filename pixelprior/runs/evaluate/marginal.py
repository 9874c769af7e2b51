"""Measure of class-conditional pixel models without classes."""

from pixelprior.errors import InputError
from pixelprior.evaluation.marginal import evaluate_marginal
from pixelprior.runs.evaluate.measure import MARGINAL, Held, Measured
from pixelprior.runs.run import Run


def check_has_marginal(run: Run) -> None:
    """Raise an InputError unless a run can be measured without classes."""
    if run.task != "pixels":
        raise InputError(
            f"marginal is for pixel models, and this run is a {run.task}; leave it out"
        )
    if not run.num_classes:
        raise InputError("marginal sums over classes, and this model has none; leave it out")


def measure_marginal(run: Run, held: Held) -> Measured:
    """Measure the likelihood of a split without classes, see `pixelprior.evaluation.marginal`."""
    found = evaluate_marginal(
        run.model,
        held.images,
        held.symbols,
        batch_size=held.batch_size,
        mesh=held.mesh,
        check=held.progress(MARGINAL),
    )
    result = {
        "marginal_nats": found.nats,
        "marginal_nats_error": found.nats_error,
        "marginal_bits_per_dim": found.bits_per_dim,
        "class_accuracy": found.accuracy,
    }
    return Measured(result, {"marginal_nats": found.per_image})

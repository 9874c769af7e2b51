"""Measure of pixel models: their likelihood, with baselines."""

import functools
import math
from typing import Any

from pixelprior.evaluation.baselines import MAX_MIXTURE_IMAGES
from pixelprior.evaluation.baselines import baselines as baseline_nats
from pixelprior.evaluation.likelihood import evaluate_likelihood
from pixelprior.evaluation.read import read_symbols
from pixelprior.runs.evaluate.measure import ORDER_SEEDS, RASTER, SCORING, Held, Measured
from pixelprior.runs.run import Run

BASELINE_SYMBOLS = 2**27
"""Largest number of training symbols for the baselines: half a GiB."""


def measure_pixels(run: Run, held: Held, *, baselines: bool) -> Measured:
    """Measure the likelihood of a split, in nats per image and bits per dimension.

    The likelihood of an any-order model is the average over random orders. It is also measured in
    raster order.
    """
    score = functools.partial(
        evaluate_likelihood,
        run.model,
        held.images,
        held.symbols,
        batch_size=held.batch_size,
        mesh=held.mesh,
        check=held.progress(SCORING),
    )
    likelihood = score(order_seeds=ORDER_SEEDS)
    result: dict[str, Any] = {
        "model": run.config["model"]["name"],
        "class_conditional": run.config["class_conditional"],
        "attribute_conditional": run.config["attribute_conditional"],
        "num_images": likelihood.num_images,
        "nats": likelihood.nats,
        "nats_error": likelihood.nats_error,
        "bits_per_dim": likelihood.bits_per_dim,
    }
    if run.model.context_shape.any_order:
        check = held.progress(RASTER)
        result["num_orders"] = len(ORDER_SEEDS)
        result["order_spread"] = likelihood.order_spread
        result["raster_nats"] = score(order_seeds=(), check=check).nats
    if baselines:
        result["baselines"] = pixel_baselines(held)
    return Measured(result, {"nats": likelihood.per_image})


def pixel_baselines(held: Held) -> dict[str, Any]:
    """Fit three simple densities to the training images, and measure them on a split."""
    dataset, symbols = held.dataset, held.symbols
    size = math.prod(dataset.shape)
    train, _ = read_symbols(dataset.splits["train"], symbols, limit=BASELINE_SYMBOLS // size)
    validation, _ = read_symbols(dataset.splits["validation"], symbols, limit=MAX_MIXTURE_IMAGES)
    test, _ = read_symbols(held.images, symbols)
    nats = baseline_nats(train, validation, test, symbols.levels)
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

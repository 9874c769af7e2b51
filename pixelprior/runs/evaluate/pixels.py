"""A model of pixels measured: its likelihood beside the yardsticks."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from pixelprior.data import Dataset, Split, Symbols
from pixelprior.evaluation.baselines import MAX_MIXTURE_IMAGES, baselines
from pixelprior.evaluation.likelihood import evaluate_likelihood
from pixelprior.evaluation.read import read_symbols
from pixelprior.runs.run import Run

BASELINE_SYMBOLS = 2**27
"""At most so many symbols of training images are given to the baselines: half a GiB."""


def measure(
    trained: Run,
    dataset: Dataset,
    symbols: Symbols,
    split: str,
    *,
    with_baselines: bool,
    batch_size: int,
    mesh: jax.sharding.Mesh,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Measures the likelihood of a split, in nats per image and bits per dimension.

    Returns:
        What the JSON file holds of it, and the values of each image.
    """
    images = dataset.splits[split]
    likelihood = evaluate_likelihood(
        trained.model, images, symbols, batch_size=batch_size, mesh=mesh
    )
    result: dict[str, Any] = {
        "model": trained.config["model"]["name"],
        "class_conditional": trained.config["class_conditional"],
        "num_images": likelihood.num_images,
        "nats": likelihood.nats,
        "nats_error": likelihood.nats_error,
        "bits_per_dim": likelihood.bits_per_dim,
    }
    if with_baselines:
        result["baselines"] = _measure_baselines(dataset, symbols, images)
    return result, {"nats": likelihood.per_image}


def _measure_baselines(dataset: Dataset, symbols: Symbols, test: Split) -> dict[str, Any]:
    size = math.prod(dataset.shape)
    train, _ = read_symbols(dataset.splits["train"], symbols, limit=BASELINE_SYMBOLS // size)
    validation, _ = read_symbols(dataset.splits["validation"], symbols, limit=MAX_MIXTURE_IMAGES)
    nats = baselines(train, validation, read_symbols(test, symbols)[0], symbols.levels)
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


def table(result: Mapping[str, Any]) -> list[str]:
    """The lines for people, of what `measure` returns."""
    rows = [
        (row["description"], row["nats"], row["bits_per_dim"])
        for row in result.get("baselines", {}).values()
    ]
    rows.append((f"{result['model']}, {result['weights']}", result["nats"], result["bits_per_dim"]))
    width = max(len(name) for name, _, _ in rows)
    return [
        f"{'':<{width}} {'nats/image':>12} {'bits/dim':>9}",
        *(f"{name:<{width}} {nats:>12.3f} {bits:>9.4f}" for name, nats, bits in rows),
        f"{'  standard error over images':<{width}} {result['nats_error']:>12.3f}",
    ]

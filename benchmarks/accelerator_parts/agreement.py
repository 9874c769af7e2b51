"""Symbols that differ between samplers, batches and devices for one key, and the reason.

A symbol is drawn where the cumulative distribution passes a random number. Rounding moves the
borders of the distribution slightly. A symbol changes only if its random number lies at a border.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import pixelprior as pp
from benchmarks.accelerator_parts.size import Size, make
from pixelprior.grid import Grid
from pixelprior.models import MODELS
from pixelprior.sampling.draw import grid_noise

NUM, BATCH = 16, 4
NAIVE_SIDE = 8


def agreement(size: Size, *, deterministic: bool) -> None:
    """Print a row for each model.

    The columns are the numbers of symbols that differ from ``cached``, out of all, and the largest
    distance of such a symbol's random number from a border of its distribution. Only the first
    different symbol of an image counts for the distance, because later ones follow from it.
    """
    print(f"{'model':<18} {'symbols':>8} {'fixed_point':>12} {'batches':>8} {'border within':>14}")
    names = list(MODELS)[:2] if size.shallow else list(MODELS)
    key = jax.random.key(1)
    for name in names:
        model = make(name, Grid(size.side, size.side, 1, 16), size._replace(shallow=True))
        # One internal batch shape is one compiled program, whose rounding is always the same.
        whole = _draw(model, key, NUM, BATCH if deterministic else NUM)
        parts = _draw(model, key, NUM, BATCH)
        guessed = np.asarray(pp.sample(model, key, NUM, method="fixed_point"))
        distance = max(_border(model, key, whole, other) for other in (parts, guessed))
        print(
            f"{name:<18} {whole.size:>8} {int((guessed != whole).sum()):>12} "
            f"{int((parts != whole).sum()):>8} {distance:>14.1e}",
            flush=True,
        )


def _draw(model: Any, key: jax.Array, num: int, batch: int) -> np.ndarray:
    return np.concatenate(
        [pp.sample(model, key, batch, method="cached", first_image=n) for n in range(0, num, batch)]
    )


def _border(model: Any, key: jax.Array, first: np.ndarray, other: np.ndarray) -> float:
    """Largest distance from a border among the first different symbols; 0 if none differs."""
    unlike = (first != other).reshape(len(first), -1)
    images = np.flatnonzero(unlike.any(axis=1))
    if not len(images):
        return 0.0
    if not hasattr(model, "pixel_log_prob"):
        return float("nan")
    places = unlike[images].argmax(axis=1)
    logits = np.asarray(model.logits(first[images]), np.float64)
    logits = logits.reshape(len(images), -1, logits.shape[-1])[np.arange(len(images)), places]
    noise = np.asarray(grid_noise(key, jnp.asarray(images), model.grid))
    noise = noise.reshape(len(images), -1)[np.arange(len(images)), places]
    mass = np.exp(logits - logits.max(axis=-1, keepdims=True))
    borders = np.cumsum(mass, axis=-1) / mass.sum(axis=-1, keepdims=True)
    return float(np.abs(borders - noise[:, None]).min(axis=1).max())

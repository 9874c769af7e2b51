"""The five laws of every model on small grids, where all grids can be listed."""

import itertools
from typing import Any

import jax
import numpy as np

import pixelprior as pp
from benchmarks.accelerator_parts.size import Size, make
from pixelprior.grid import Grid
from pixelprior.models import MODELS

NUM = 4096
"""Number of samples whose frequencies are compared with the model."""


def laws(size: Size) -> None:
    """Print a row for each model.

    The columns are the sum of all probabilities, the largest influence of a later symbol on an
    earlier one, the numbers of unlike symbols, and the largest error of a frequency in standard
    deviations.
    """
    print(
        f"{'model':<18} {'sum of p':>9} {'later on earlier':>17} {'cached/naive':>13} "
        f"{'batches':>8} {'frequencies':>12}"
    )
    names = list(MODELS)[:2] if size.shallow else list(MODELS)
    for name in names:
        grid = Grid(4, 2, 1, 2) if name == "multi_scale" else Grid(2, 2, 1, 3)
        model = make(name, grid, size)
        every = _every_grid(grid)
        log_prob = np.asarray(model.log_prob(every), np.float64)
        key = jax.random.key(0)
        cached = np.asarray(pp.sample(model, key, NUM, method="cached"))
        naive = np.asarray(pp.sample(model, key, NUM, method="naive"))
        parts = [
            pp.sample(model, key, NUM // 8, method="cached", first_image=n)
            for n in range(0, NUM, NUM // 8)
        ]
        print(
            f"{name:<18} {np.exp(log_prob).sum():>9.6f} {_influence(model, name):>17.1e} "
            f"{int((cached != naive).sum()):>13} {int((cached != np.concatenate(parts)).sum()):>8} "
            f"{_frequency_error(cached, every, np.exp(log_prob)):>12.2f}",
            flush=True,
        )


def _every_grid(grid: Grid) -> np.ndarray:
    symbols = itertools.product(range(grid.levels), repeat=grid.size)
    return np.asarray(list(symbols), np.int32).reshape(-1, *grid.shape)


def _influence(model: Any, name: str) -> float:
    """Largest change of an earlier symbol's log-probability by the last symbol; NaN if no order."""
    if name == "multi_scale":
        # Its first symbols are those of the small grid, not those of the first rows.
        return float("nan")
    x = np.zeros((1, *model.grid.shape), np.int32)
    changed = x.copy()
    changed[0, -1, -1] = 1
    before, after = (np.asarray(model.pixel_log_prob(y)).ravel()[:-1] for y in (x, changed))
    return float(np.abs(after - before).max())


def _frequency_error(drawn: np.ndarray, every: np.ndarray, probability: np.ndarray) -> float:
    """Largest distance between a grid's frequency and its probability, in standard deviations."""
    equal = (drawn.reshape(len(drawn), 1, -1) == every.reshape(1, len(every), -1)).all(-1)
    deviation = np.sqrt(probability * (1 - probability) / len(drawn))
    return float((np.abs(equal.mean(0) - probability) / deviation).max())

"""Some minutes of training, and samples of the result."""

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

import pixelprior as pp
from benchmarks.accelerator_parts.size import Size
from pixelprior.figures.sheets import save_grid

CHECKED = 20
"""Number of steps by which the rate of steps is measured."""


def train_for(size: Size, minutes: float, out: Path) -> None:
    """Train for some minutes and write a picture of 64 samples.

    The data are CIFAR-10, or the digits of scikit-learn for a small measurement.
    """
    recipe = "digits" if size.shallow else "cifar10"
    settings: dict[str, Any] = dict(
        progress=False, checkpoint_every=10**6, sample_every=10**6, warmup_steps=10
    )
    steps = CHECKED if size.shallow else _steps_in(minutes, recipe, settings)
    start = time.perf_counter()
    run = pp.fit(recipe, num_steps=steps, **settings)
    minutes = (time.perf_counter() - start) / 60
    print(f"{recipe}: {steps} steps in {minutes:.1f} minutes")
    print(run.metrics[-1])
    symbols = pp.sample(run.model, jax.random.key(0), 64)
    save_grid(np.asarray(symbols), run.model.grid.levels, out)
    print(f"samples in {out}")


def _steps_in(minutes: float, recipe: str, settings: dict[str, Any]) -> int:
    """Return the number of steps that take some minutes, by the times of two short trainings."""
    seconds = []
    for steps in (CHECKED, 10 * CHECKED):
        start = time.perf_counter()
        pp.fit(recipe, num_steps=steps, **settings)
        seconds.append(time.perf_counter() - start)
    # Both include the compilation and the validation at the end.
    step = max((seconds[1] - seconds[0]) / (9 * CHECKED), 1e-3)
    return max(CHECKED, int(60 * minutes / step))

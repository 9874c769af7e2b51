"""Figures of a few samples for ``sample.py``: while they fill up, and with other strategies.

Legend: n images, h height, w width, c channels.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pixelprior.errors import InputError
from pixelprior.figures.plots import save_sweep
from pixelprior.figures.sheets import as_shades, save_animation, save_grid
from pixelprior.runs.run import Run
from pixelprior.runs.samples import Pixels, Request, samples_of
from pixelprior.sampling.strategies import Strategy, Temperature, TopP

FRAMES = {".gif": 29, ".png": 8}
MILLISECONDS = 100
TEMPERATURES = (0.7, 0.85, 1.0, 1.15)
TOP_PS = (0.8, 0.9, 0.95, 1.0)


def save_progress(run: Run, request: Request, out: Path, num: int) -> None:
    """Save samples while they fill up: one animation, or a strip of pictures for each sample.

    Raises:
        InputError: if the run cannot be sampled from, or the file is neither .gif nor .png.
    """
    suffix = out.suffix.lower()
    if suffix not in FRAMES:
        raise InputError(f"--mode=progress writes a .gif or a .png file, got {out}")
    samples = samples_of(run, request)
    frames = samples.filling_up(samples.draw(np.arange(num)), FRAMES[suffix])
    if suffix == ".gif":
        sheets = [as_shades(frame) for frame in frames]
        save_animation(sheets, 256, out, milliseconds=MILLISECONDS)
    else:
        strips = np.stack(frames, axis=1)  # [n, f, h, w, c]
        save_grid(as_shades(strips.reshape(-1, *strips.shape[2:])), 256, out, columns=len(frames))


def save_choices(run: Run, request: Request, out: Path, num: int) -> None:
    """Save the same samples at several temperatures and values of top-p.

    Raises:
        InputError: if the run cannot be sampled from, or the file is not .png.
    """
    if out.suffix.lower() != ".png":
        raise InputError(f"--mode=sweep writes a .png file, got {out}")

    def drawn(strategies: Sequence[Strategy]) -> Pixels:
        samples = samples_of(run, request._replace(strategies=[strategies]))
        return samples.pixels(samples.draw(np.arange(num)))

    save_sweep(
        [[drawn((Temperature(t), TopP(p))) for p in TOP_PS] for t in TEMPERATURES],
        [f"temperature {t}" for t in TEMPERATURES],
        [f"top-p {p}" for p in TOP_PS],
        out,
    )


FIGURES: dict[str, Callable[[Run, Request, Path, int], None]] = {
    "progress": save_progress,
    "sweep": save_choices,
}
"""Modes that draw all images in one figure."""

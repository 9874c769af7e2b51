"""Samplers by grid and batch, with and without command buffers for loops."""

from typing import Any

import jax
from flax import nnx

from benchmarks.accelerator_parts.size import Size, make
from benchmarks.machine import best_time
from benchmarks.timing import compile_sampler
from pixelprior.grid import Grid
from pixelprior.sampling.in_columns import InColumns
from pixelprior.sampling.methods import METHODS, fastest, name_of
from pixelprior.sampling.whole_grids import Naive

COMMAND_BUFFERS = {"xla_gpu_enable_command_buffer": "+WHILE"}
"""Options with which a GPU starts a whole loop at once, not each of its steps."""

TIMED = 8
"""Number of positions of the naive sampler that are timed; each costs the same."""


def samplers(size: Size) -> None:
    """Print a row for each grid and batch: seconds of each sampler, and naive over cached.

    The models are not trained, so guesses are worse than those of a trained model.
    """
    options: list[tuple[str, dict[str, str]]] = [("", {})]
    if jax.default_backend() == "gpu":
        options.append(("+WHILE", COMMAND_BUFFERS))
    print(
        f"{'grid':<14} {'batch':>6} {'buffers':>8} {'cached':>8} {'4 columns':>10} "
        f"{'fixed_point':>12} {'naive/cached':>13}  auto"
    )
    for grid, batches in (
        (Grid(size.side, size.side, 1, 2), size.drawn),
        (Grid(size.side, size.side, 3, 256), size.drawn[:-1]),
    ):
        model = make("gated_pixel_cnn", grid, size)
        for batch in batches:
            for name, settings in options:
                print(_row(model, batch, name, settings), flush=True)


def _row(model: Any, batch: int, name: str, options: dict[str, str]) -> str:
    grid = model.grid
    cached, columns, guessed = (
        _seconds(model, batch, sampler, options)
        for sampler in (METHODS["cached"], InColumns(4), METHODS["fixed_point"])
    )
    positions = grid.height * grid.width
    naive = _seconds(model, batch, Naive(TIMED), {}) / TIMED * positions
    chosen = name_of(fastest(model, max(1, batch // jax.device_count())))
    shape = f"{grid.height}x{grid.width}x{grid.channels}/{grid.levels}"
    return (
        f"{shape:<14} {batch:>6} {name or '-':>8} {cached:>8.3f} {columns:>10.3f} "
        f"{guessed:>12.3f} {naive / cached:>13.0f}  {chosen}"
    )


def _seconds(model: Any, batch: int, sampler: Any, options: dict[str, str]) -> float:
    graph, weights = nnx.split(model)
    noise = jax.random.uniform(jax.random.key(0), (batch, *model.grid.shape))
    draw, _ = compile_sampler(graph, weights, sampler, noise, options)
    jax.block_until_ready(draw())
    return best_time(draw, 2)

"""Names of the samplers, and the choice of the fastest."""

import jax

from pixelprior.errors import InputError
from pixelprior.models.base import GridModel
from pixelprior.sampling.in_columns import InColumns
from pixelprior.sampling.sampler import Sampler
from pixelprior.sampling.whole_grids import Naive, WholeGrids

METHODS: dict[str, Sampler] = {
    "cached": InColumns(1),
    "fixed_point": InColumns(),
    "whole_grids": WholeGrids(),
    "naive": Naive(),
}
AUTO = "auto"
"""Name of the sampler that `fastest` picks."""

FEW = 2
"""Largest number of binary images for which guessing rows is faster on a CPU."""

FEW_LEVELS = 16
"""Largest number of values per symbol for which a row needs far fewer evaluations than columns."""

SMALL_STEP = 4096
"""Number of positions that an accelerator evaluates in about the time of one position."""


def check_method(method: str | Sampler) -> None:
    """Raise an InputError unless this is a sampler, or the name of one."""
    if method not in (AUTO, *METHODS) if isinstance(method, str) else not callable(method):
        raise InputError(f"method must be one of {', '.join([AUTO, *METHODS])}, got {method!r}")


def sampler_of(method: str | Sampler, model: GridModel, num: int) -> Sampler:
    """Return the sampler with a name, or a sampler itself, for ``num`` images on each device.

    Raises:
        InputError: if no sampler has this name.
    """
    check_method(method)
    if not isinstance(method, str):
        return method
    return fastest(model, num) if method == AUTO else METHODS[method]


def fastest(model: GridModel, num: int) -> Sampler:
    """Choose the fastest sampler for ``num`` images on each device.

    The choice follows measurements by `benchmarks.fixed_point` and `benchmarks.guesses`. For binary
    images a trained model is usually so certain that guessing rows takes a tenth of the steps. On a
    CPU, guessing is then 1.4 to 1.6 times as fast for one or two images, 0.9 times as fast for four
    and half as fast for sixteen. With more values per symbol it saves no time on a CPU.

    Accelerators take the same time for one position and for some thousands. The number of
    evaluations then decides. Up to 16 values per symbol, guessing saves most of them, and with 256
    values almost none. The number of positions is an estimate: no accelerator was measured.
    """
    levels, width = model.grid.levels, model.grid.width
    if jax.default_backend() == "cpu":
        guess = levels == 2 and num <= FEW
    else:
        guess = levels <= FEW_LEVELS and num * width <= SMALL_STEP
    return METHODS["fixed_point" if guess else "cached"]


def name_of(sampler: Sampler) -> str:
    """Return the name of one of `METHODS`."""
    return next(name for name, known in METHODS.items() if known == sampler)

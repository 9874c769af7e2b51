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
"""Largest number of images for which a one-column step is only latency, also on a CPU."""


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

    The choice follows measurements by `benchmarks.fixed_point`. For binary images a trained model
    is usually so certain that guessing rows takes a tenth of the steps. On a CPU, guessing is then
    up to four times as fast for one image, and about as fast for four. For sixteen images it
    computes much more and is half as fast.

    For images with more values per symbol, guessing saves less than half of the steps. On a CPU it
    then saves no time. Other devices are assumed to be limited by latency only; this is not
    measured.
    """
    if jax.default_backend() == "cpu":
        return METHODS["fixed_point" if model.grid.levels == 2 and num <= FEW else "cached"]
    return METHODS["fixed_point"]

"""What the samplers are called, and which of them is the fastest."""

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
"""The one of them that `fastest` picks."""

FEW = 2
"""So many images at once are few: a step of one column is then all latency, also on a CPU."""


def check_method(method: str | Sampler) -> None:
    """Raises an InputError if there is no sampler of the name."""
    if isinstance(method, str) and method not in (AUTO, *METHODS):
        raise InputError(f"method must be one of {', '.join([AUTO, *METHODS])}, got {method!r}")


def sampler_of(method: str | Sampler, model: GridModel, num: int) -> Sampler:
    """The sampler that is asked for, by name or as it is, for so many images on each device.

    Raises:
        InputError: if there is none of the name.
    """
    check_method(method)
    if not isinstance(method, str):
        return method
    return fastest(model, num) if method == AUTO else METHODS[method]


def fastest(model: GridModel, num: int) -> Sampler:
    """The sampler for so many images on each device, by what `benchmarks.fixed_point` says.

    Of binary images a trained model is mostly so sure that guessing rows takes a tenth of the
    steps. For one image that is up to four times as fast on a CPU, for four about as fast, and for
    sixteen, for which it has to compute that much more, half as fast. Of images of more levels
    guessing saves less than half of the steps, and nothing on a CPU. Other devices are taken to be
    all latency; not measured.
    """
    if jax.default_backend() == "cpu":
        return METHODS["fixed_point" if model.grid.levels == 2 and num <= FEW else "cached"]
    return METHODS["fixed_point"]

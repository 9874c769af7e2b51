"""Samplers turn noise into the grids that it determines. All samplers give the same grids.

A symbol is a function of its own noise and of the earlier symbols. A grid is therefore the only
solution of ``x = symbols(x, noise)``, and there are several ways to find it. The samplers `Naive`,
and `InColumns` with one column, draw symbol by symbol. The others guess many symbols at once, and
replace the guess by the function's result until nothing changes.

After n rounds the first n symbols are right for every guess. Usually far fewer rounds than symbols
are needed, since few symbols depend on all earlier ones. (Song et al. 2021, Accelerating
Feedforward Computation via Parallel Nonlinear Equation Solving.)

Given symbols are taken instead of drawn. Later symbols are drawn as if the given ones had been
drawn. An array of given symbols is `OUTSIDE` of `pixelprior.nn.embedding` where nothing is given.

Legend: b batch, h height, w width, c channels.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from jaxtyping import Array, Bool, Float, Int

from pixelprior.context import Context
from pixelprior.models.base import AutoregressiveModel
from pixelprior.sampling.strategies import Strategy


class Drawn(NamedTuple):
    """Result of a sampler.

    Attributes:
        grids: int32 symbols.
        evaluations: number of sequential runs of the network, or of its part along the row, for
            each image. This is the cost of sampling on a device that is never busy. Images that are
            drawn together wait for each other.
    """

    grids: Int[Array, "b h w c"]
    evaluations: Int[Array, " b"]


class Inputs(NamedTuple):
    """Inputs of every sampler.

    Attributes:
        noise: see `grid_noise`.
        context: condition of the model.
        strategies: strategies for choosing symbols.
        given: known symbols, or None.
        given_rows: True for rows whose symbols are given in all images. None if there are none, or
            if it is not worth a program of its own.
    """

    noise: Float[Array, "b h w c"]
    context: Context | None = None
    strategies: Sequence[Strategy] = ()
    given: Int[Array, "b h w c"] | None = None
    given_rows: Bool[Array, " h"] | None = None


class Sampler(Protocol):
    """Function from noise to grids. It is hashable, so that code can be compiled for it."""

    def __call__(self, model: AutoregressiveModel, inputs: Inputs) -> Drawn:
        """Draw a grid for every image of the noise."""
        ...

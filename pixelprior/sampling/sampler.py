"""Samplers: noise in, the grids that the noise stands for out. All give the same grids.

A symbol is a function of its own noise and of the symbols before it. So a grid is the one solution
of ``x = symbols(x, noise)``, and there are several ways to it: symbol by symbol, as `Naive` and
`InColumns` with one column do, or by guessing many symbols at once and putting the function's
result in their place until nothing changes. After n rounds the first n symbols are right whatever
the guess was; mostly it takes far fewer rounds than there are symbols, since few hang on all before
them.
(Song et al. 2021, Accelerating Feedforward Computation via Parallel Nonlinear Equation Solving.)

Some symbols may be given: they are taken instead of drawn, and what follows them is drawn as if
they had been. In an array of given symbols `OUTSIDE` of `pixelprior.nn.embedding` stands where
nothing is given.

Legend: b batch, h height, w width, c channels.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.models.base import AutoregressiveModel
from pixelprior.sampling.strategies import Strategy


class Drawn(NamedTuple):
    """What a sampler returns.

    Attributes:
        grids: int32 symbols.
        evaluations: for each image, how often the network, or its part along the row, was run one
            after the other: what sampling takes on a device that is never busy. Images that are
            drawn together wait for each other.
    """

    grids: Int[Array, "b h w c"]
    evaluations: Int[Array, " b"]


class Inputs(NamedTuple):
    """What is to be drawn, whatever the sampler.

    Attributes:
        noise: see `grid_noise`.
        context: what the model is conditioned on.
        strategies: how symbols are chosen.
        given: symbols that are known, or None.
    """

    noise: Float[Array, "b h w c"]
    context: Context | None = None
    strategies: Sequence[Strategy] = ()
    given: Int[Array, "b h w c"] | None = None


class Sampler(Protocol):
    """A way from noise to grids. Hashable, so that code can be compiled for it."""

    def __call__(self, model: AutoregressiveModel, inputs: Inputs) -> Drawn:
        """Draws a grid for every image of the noise."""
        ...

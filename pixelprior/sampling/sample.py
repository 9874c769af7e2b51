"""Public sampling functions: from a model and a key to grids."""

from collections.abc import Sequence
from typing import TypedDict, Unpack

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Int

from pixelprior.context import Context
from pixelprior.errors import InputError
from pixelprior.models.base import GridModel
from pixelprior.sampling.draw import grid_noise
from pixelprior.sampling.draw_grids import draw_grids
from pixelprior.sampling.known import check_known
from pixelprior.sampling.methods import check_method, sampler_of
from pixelprior.sampling.sampler import Drawn, Inputs, Sampler
from pixelprior.sampling.strategies import Strategy
from pixelprior.system.devices import bring_back, mesh_for, on_each_device, put_on
from pixelprior.system.programs import jit_by_structure


# The weights are an argument: they are not constants of the program, and further training does
# not compile it anew. The graph is static, and equal for equal models.
@jit_by_structure()
def _sample(everyones, each_ones, *, graph, sampler, mesh):
    def draw(everyones, each_ones):
        (weights, key, strategies), (images, context, known) = everyones, each_ones
        model = nnx.merge(graph, weights)
        noise = grid_noise(key, images, model.grid)
        return draw_grids(model, Inputs(noise, context, strategies, known), sampler)

    return on_each_device(draw, mesh)(everyones, each_ones)


class Settings(TypedDict, total=False):
    """Keyword arguments of `sample`, described there."""

    context: Context | None
    strategy: Strategy | Sequence[Strategy]
    known: Int[Array, "num h w c"] | None
    method: str | Sampler
    first_image: int | Int[Array, ""]


def sample(
    model: GridModel, key: Array, num: int, **settings: Unpack[Settings]
) -> Int[Array, "num h w c"]:
    """Draw grids from the model.

    Image n depends only on ``(key, n)``, its own context and its own known symbols. Drawing 64
    images at once, or 16 with ``first_image`` 0, 16, 32 and 48, gives the same images.

    The function compiles once per structure of the model, shape and method, and may be called
    inside jitted code. Outside jitted code, the images are split over all devices if they divide
    evenly. They are then moved back to the model's device.

    Known symbols stay unchanged. All others are drawn one after the other, given the earlier
    symbols in the model's order. Known symbols therefore condition only later symbols. The unknown
    symbols are conditioned on all known ones only if those come first.

    Args:
        model: model to draw from.
        key: a typed JAX key, ``jax.random.key(seed)``.
        num: number of grids.
        context: one condition per grid, for conditional models.
        strategy: strategy for choosing symbols, or several that are applied in turn; none draws
            from the model itself.
        known: symbols that are not drawn, and `UNKNOWN` everywhere else.
        method: name of a sampler, or any `Sampler`. "auto" is the fastest. The other names are
            "cached", "fixed_point", "whole_grids" and "naive", see `METHODS`. All methods give the
            same grids.
        first_image: number n of the first grid.

    Returns:
        int32 symbols in ``[0, levels)``.

    Raises:
        InputError: if ``num`` is below 1, the method is unknown, or the context or known symbols do
            not fit.
    """
    return sample_and_count(model, key, num, **settings).grids


def sample_and_count(
    model: GridModel,
    key: Array,
    num: int,
    *,
    context: Context | None = None,
    strategy: Strategy | Sequence[Strategy] = (),
    known: Int[Array, "num h w c"] | None = None,
    method: str | Sampler = "auto",
    first_image: int | Int[Array, ""] = 0,
) -> Drawn:
    """Draw grids as `sample` does, and count the sequential network evaluations of each grid."""
    check_method(method)
    known = check_wanted(model, num, context, known)
    strategies = as_strategies(strategy)
    graph, weights = nnx.split(model)
    everyones = weights, key, strategies
    each_ones = first_image + jnp.arange(num), context, known
    mesh = mesh_for(num, everyones, each_ones)
    sampler = sampler_of(method, model, num if mesh is None else num // mesh.size)
    inputs = put_on(mesh, everyones, each_ones)
    drawn = _sample(*inputs, graph=graph, sampler=sampler, mesh=mesh)
    return bring_back(mesh, drawn, weights)


def check_wanted(
    model: GridModel,
    num: int,
    context: Context | None,
    known: Int[Array, "num h w c"] | None,
) -> Int[Array, "num h w c"] | None:
    """Check the request; return the known symbols as samplers take them.

    Raises:
        InputError: see `sample`.
    """
    if num < 1:
        raise InputError(f"num must be at least 1, got {num}")
    model.context_shape.check(context, num)
    return None if known is None else check_known(known, model.grid, num)


def as_strategies(strategy: Strategy | Sequence[Strategy]) -> tuple[Strategy, ...]:
    """Turn one strategy or several into a tuple."""
    return tuple(strategy) if isinstance(strategy, Sequence) else (strategy,)

"""Sampling, for people: from a model and a key to grids."""

import functools
from collections.abc import Sequence
from typing import TypedDict, Unpack

import jax
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


# The weights are an argument, so that training on does not compile anew and nothing is baked in;
# the graph is static, and equal for equal models.
@functools.partial(jax.jit, static_argnames=("graph", "sampler", "mesh"))
def _sample(graph, everyones, each_ones, *, sampler, mesh):
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
    """Draws grids from the model.

    Image n depends on ``(key, n)``, its own context and its own known symbols alone: drawing 64 at
    once, or 16 with ``first_image`` 0, 16, 32 and 48, gives the same pictures. Compiles once per
    model, shape and method; may be called inside other jitted code. Outside of it the images are
    split over all devices, if they can be split evenly, and come back to the model's.

    Known symbols stay as they are, and all others are drawn one after the other given those before
    them in the model's order. So what is known is taken into account by what comes after it alone:
    these are not samples of the unknown symbols given all known ones, unless those come first.

    Args:
        model: what to draw from.
        key: a typed JAX key, ``jax.random.key(seed)``.
        num: how many grids.
        context: one condition per grid, for models that take one.
        strategy: how symbols are chosen, or several that are applied in turn; none draws from the
            model as it is.
        known: symbols that are not to be drawn, and `UNKNOWN` where there are none.
        method: "auto" for the one that is the fastest; "cached", "fixed_point", "whole_grids" or
            "naive" for the same grids in other ways, see `METHODS`; or any `Sampler`.
        first_image: the number n of the first grid.

    Returns:
        int32 symbols in ``[0, levels)``.

    Raises:
        InputError: if ``num`` is below 1, the method is unknown, or the context or what is known
            does not fit.
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
    """`sample`, and how many evaluations of the network each grid took one after the other."""
    check_method(method)
    known = check_wanted(model, num, context, known)
    strategies = as_strategies(strategy)
    graph, weights = nnx.split(model)
    everyones = weights, key, strategies
    each_ones = first_image + jnp.arange(num), context, known
    mesh = mesh_for(num, everyones, each_ones)
    sampler = sampler_of(method, model, num if mesh is None else num // mesh.size)
    drawn = _sample(graph, *put_on(mesh, everyones, each_ones), sampler=sampler, mesh=mesh)
    return bring_back(mesh, drawn, weights)


def check_wanted(
    model: GridModel,
    num: int,
    context: Context | None,
    known: Int[Array, "num h w c"] | None,
) -> Int[Array, "num h w c"] | None:
    """What is known, as samplers take it, once all that is asked for is known to fit the model.

    Raises:
        InputError: see `sample`.
    """
    if num < 1:
        raise InputError(f"num must be at least 1, got {num}")
    model.context_shape.check(context, num)
    return None if known is None else check_known(known, model.grid, num)


def as_strategies(strategy: Strategy | Sequence[Strategy]) -> tuple[Strategy, ...]:
    """One strategy or several, as several."""
    return tuple(strategy) if isinstance(strategy, Sequence) else (strategy,)

"""Sampling, for people: from a model and a key to grids."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Int

from pixelprior.context import Context
from pixelprior.errors import InputError
from pixelprior.models.base import GridModel
from pixelprior.sampling.draw import grid_noise
from pixelprior.sampling.draw_grids import draw_grids
from pixelprior.sampling.samplers import SAMPLERS
from pixelprior.sampling.strategies import Strategy


# The weights are an argument, so that training on does not compile anew and nothing is baked in;
# the graph is static, and equal for equal models.
@functools.partial(jax.jit, static_argnames=("graph", "num", "method"))
def _sample(graph, weights, key, context, strategies, first_image, *, num, method):
    model = nnx.merge(graph, weights)
    noise = grid_noise(key, first_image + jnp.arange(num), model.grid)
    return draw_grids(model, noise, context, strategies, method)


def sample(
    model: GridModel,
    key: Array,
    num: int,
    *,
    context: Context | None = None,
    strategies: Strategy | Sequence[Strategy] = (),
    method: str = "cached",
    first_image: int | Int[Array, ""] = 0,
) -> Int[Array, "num h w c"]:
    """Draws grids from the model.

    Image n depends on ``(key, n)`` and its own context alone: drawing 64 at once, or 16 with
    ``first_image`` 0, 16, 32 and 48, gives the same pictures. Compiles once per model, shape and
    method; may be called inside other jitted code.

    Args:
        model: what to draw from.
        key: a typed JAX key, ``jax.random.key(seed)``.
        num: how many grids.
        context: one condition per grid, for models that take one.
        strategies: one strategy, or several applied in turn; none draws from the model as it is.
        method: "cached", or "naive" (the same grids, slowly).
        first_image: the number n of the first grid.

    Returns:
        int32 symbols in ``[0, levels)``.

    Raises:
        InputError: if ``num`` is below 1, the method is unknown, or the context does not fit.
    """
    if num < 1:
        raise InputError(f"num must be at least 1, got {num}")
    if method not in SAMPLERS:
        raise InputError(f"method must be one of {', '.join(SAMPLERS)}, got {method!r}")
    model.context_shape.check(context, num)
    strategies = tuple(strategies) if isinstance(strategies, Sequence) else (strategies,)
    graph, weights = nnx.split(model)
    return _sample(graph, weights, key, context, strategies, first_image, num=num, method=method)

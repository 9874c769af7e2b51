"""Sampling that can be watched, and stopped: row by row.

Legend: h height, w width, c channels.
"""

import functools
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Int

from pixelprior.context import Context
from pixelprior.models.base import AutoregressiveModel, GridModel
from pixelprior.models.multi_scale import MultiScale
from pixelprior.sampling.draw import grid_noise
from pixelprior.sampling.in_columns import InColumns
from pixelprior.sampling.known import UNKNOWN
from pixelprior.sampling.methods import fastest
from pixelprior.sampling.sample import as_strategies, check_wanted
from pixelprior.sampling.sampler import Task
from pixelprior.sampling.strategies import Strategy


def sample_rows(
    model: GridModel,
    key: Array,
    num: int,
    *,
    context: Context | None = None,
    strategy: Strategy | Sequence[Strategy] = (),
    known: Int[Array, "num h w c"] | None = None,
    first_image: int | Int[Array, ""] = 0,
) -> Iterator[Int[Array, "num h w c"]]:
    """The grids that `sample` draws, as they fill up: all of them anew after every row.

    Where nothing is drawn yet they are `UNKNOWN`; what is known stands there from the start. A
    model of several scales fills its small grid first. Whoever stops asking for rows stops the
    sampling. A row compiles once per model and shape, and takes one call from the host: on a device
    that waits for its host, `sample` is the faster one. All grids lie on one device.

    Args:
        model: see `sample`, as all that follow.
        key: a typed JAX key.
        num: how many grids.
        context: one condition per grid.
        strategy: how symbols are chosen.
        known: symbols that are not to be drawn.
        first_image: the number n of the first grid.

    Raises:
        InputError: as `sample` does, at once and not with the first row.
    """
    known = check_wanted(model, num, context, known)
    images = first_image + jnp.arange(num)
    noise = jax.jit(grid_noise, static_argnums=2)(key, images, model.grid)
    return _fill(model, Task(noise, context, as_strategies(strategy), known))


def num_rows(model: GridModel) -> int:
    """How many times `sample_rows` gives its grids."""
    coarser = num_rows(model.coarse) if isinstance(model, MultiScale) else 0
    return coarser + model.grid.height


def _fill(model: GridModel, task: Task) -> Iterator[Int[Array, "num h w c"]]:
    if not isinstance(model, MultiScale):
        assert isinstance(model, AutoregressiveModel)
        yield from _fill_rows(model, task)
        return
    given = task.given
    small = task._replace(
        noise=model.coarse_part(task.noise),
        context=model.coarse_context(task.context),
        given=None if given is None else model.coarse_part(given),
    )
    for coarse in _fill(model.coarse, small):
        known = model.given(coarse)
        known = known if given is None else jnp.where(known == UNKNOWN, given, known)
        yield known
    context = _fine_context(*nnx.split(model), task.context, coarse)
    yield from _fill_rows(model.fine, task._replace(context=context, given=known))


def _fill_rows(model: AutoregressiveModel, task: Task) -> Iterator[Int[Array, "num h w c"]]:
    graph, weights = nnx.split(model)
    sampler = fastest(model, len(task.noise))
    assert isinstance(sampler, InColumns)
    grids = task.given
    if grids is None:
        grids = jnp.full(task.noise.shape, UNKNOWN, jnp.int32)
    state = _start(graph, weights, task, sampler=sampler)
    for number in range(model.grid.height):
        state, grids = _draw_row(graph, weights, task, state, grids, number, sampler=sampler)
        yield grids


@functools.partial(jax.jit, static_argnames=("graph", "sampler"))
def _start(graph, weights, task, *, sampler):
    return sampler.start(nnx.merge(graph, weights).in_dtype(), task)


@functools.partial(jax.jit, static_argnames=("graph", "sampler"))
def _draw_row(graph, weights, task, state, grids, number, *, sampler):
    model = nnx.merge(graph, weights).in_dtype()
    noise, given = jax.tree.map(lambda x: x[:, number], (task.noise, task.given))
    state = sampler.row(model, task.strategies, state, number, noise, given)
    return state, grids.at[:, number].set(state.pixels)


@functools.partial(jax.jit, static_argnames="graph")
def _fine_context(graph, weights, context, coarse):
    return nnx.merge(graph, weights).fine_context(context, coarse)

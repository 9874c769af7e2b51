"""Sample row by row, so that sampling can be watched and stopped.

Legend: h height, w width, c channels.
"""

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Int

from pixelprior.context import Context
from pixelprior.models.base import AutoregressiveModel, GridModel
from pixelprior.sampling.draw import grid_noise
from pixelprior.sampling.draw_grids import around_known, stage_inputs, with_part
from pixelprior.sampling.in_columns import InColumns
from pixelprior.sampling.known import UNKNOWN
from pixelprior.sampling.methods import fastest
from pixelprior.sampling.sample import as_strategies, check_wanted
from pixelprior.sampling.sampler import Inputs
from pixelprior.sampling.strategies import Strategy
from pixelprior.system.programs import jit_by_structure


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
    """Yield the grids that `sample` draws while they fill up: all grids after every row.

    Symbols that are not drawn yet are `UNKNOWN`. Known symbols are in place from the start. A model
    of several scales fills its small grid first. Sampling stops when the caller stops iterating.

    A row compiles once per model and shape, and takes one call from the host. On a device that
    waits for its host, `sample` is faster. All grids are on one device.

    Args:
        model: see `sample`, also for all arguments below.
        key: a typed JAX key.
        num: number of grids.
        context: one condition per grid.
        strategy: strategies for choosing symbols.
        known: symbols that are not drawn.
        first_image: number n of the first grid.

    Raises:
        InputError: as `sample` does, at the call and not at the first row.
    """
    known = check_wanted(model, num, context, known)
    images = first_image + jnp.arange(num)
    noise = jax.jit(grid_noise, static_argnums=2)(key, images, model.grid)
    inputs = Inputs(noise, context, as_strategies(strategy), known)
    return _fill(model, around_known(model, inputs))


def num_rows(model: GridModel) -> int:
    """Count how often `sample_rows` yields its grids."""
    return sum(stage.model.grid.height for stage in model.stages())


def _fill(model: GridModel, inputs: Inputs) -> Iterator[Int[Array, "num h w c"]]:
    graph, weights = nnx.split(model)
    for number, stage in enumerate(model.stages()):
        here = _stage_inputs(weights, inputs, graph=graph, number=number)
        positions = _positions(weights, inputs, graph=graph, number=number)
        for part in _fill_rows(stage.model, here):
            grids = _with_part(inputs.given, positions, part, inputs.noise.shape)
            yield grids
        inputs = inputs._replace(given=grids)


def _fill_rows(model: AutoregressiveModel, inputs: Inputs) -> Iterator[Int[Array, "num h w c"]]:
    graph, weights = nnx.split(model)
    sampler = fastest(model, len(inputs.noise))
    assert isinstance(sampler, InColumns)
    grids = inputs.given
    if grids is None:
        grids = jnp.full(inputs.noise.shape, UNKNOWN, jnp.int32)
    state = _start(weights, inputs, graph=graph, sampler=sampler)
    for number in range(model.grid.height):
        state, grids = _draw_row(
            weights, inputs, state, grids, number, graph=graph, sampler=sampler
        )
        yield grids


@jit_by_structure()
def _start(weights, inputs, *, graph, sampler):
    return sampler.start(nnx.merge(graph, weights).for_steps(), inputs)


@jit_by_structure()
def _draw_row(weights, inputs, state, grids, number, *, graph, sampler):
    model = nnx.merge(graph, weights).for_steps()
    noise, given = jax.tree.map(lambda x: x[:, number], (inputs.noise, inputs.given))
    is_given = None if inputs.given_rows is None else inputs.given_rows[number]
    state = sampler.row(model, inputs.strategies, state, number, noise, given, is_given)
    return state, grids.at[:, number].set(state.pixels)


@jit_by_structure()
def _stage_inputs(weights, inputs, *, graph, number):
    return stage_inputs(nnx.merge(graph, weights).stages()[number], inputs, first=number == 0)


@jit_by_structure()
def _positions(weights, inputs, *, graph, number):
    stage = nnx.merge(graph, weights).stages()[number]
    return stage.positions(inputs.context, len(inputs.noise))


_with_part = jax.jit(with_part, static_argnums=3)

"""Draw grids from noise, one stage of the model after another.

Legend: b batch, h height, w width, c channels, H and W: height and width of a stage's grid.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Shaped

from pixelprior.models.base import GridModel, Stage
from pixelprior.nn.embedding import OUTSIDE
from pixelprior.nn.orders import rearrange
from pixelprior.sampling.sampler import Drawn, Inputs, Sampler


def draw_grids(model: GridModel, inputs: Inputs, sampler: Sampler) -> Drawn:
    """Draw grids; the sampler draws each stage of the model.

    Every symbol has its own noise. For every model, a key therefore determines the images.
    """
    inputs = around_known(model, inputs)
    grids, evaluations = inputs.given, jnp.zeros(len(inputs.noise), jnp.int32)
    for number, stage in enumerate(model.stages()):
        here = stage_inputs(stage, inputs._replace(given=grids), first=number == 0)
        drawn = sampler(stage.model, here)
        positions = stage.positions(inputs.context, len(inputs.noise))
        grids = with_part(grids, positions, drawn.grids, inputs.noise.shape)
        evaluations = evaluations + drawn.evaluations
    assert grids is not None  # there is a stage
    return Drawn(grids, evaluations)


def around_known(model: GridModel, inputs: Inputs) -> Inputs:
    """Let the model choose how it draws around the known symbols."""
    if inputs.given is None:
        return inputs
    known = (inputs.given != OUTSIDE).all(axis=-1)
    return inputs._replace(context=model.around(inputs.context, known))


def stage_inputs(stage: Stage, inputs: Inputs, *, first: bool) -> Inputs:
    """Select the inputs of one stage; symbols drawn by earlier stages are given.

    Args:
        stage: the stage.
        inputs: inputs for whole grids.
        first: True for the first stage. The symbols given to it are known ones alone. Symbols of
            earlier stages do not fill rows.
    """
    batch = len(inputs.noise)
    positions = stage.positions(inputs.context, batch)
    noise, given = jax.tree.map(lambda x: part_of(x, positions), (inputs.noise, inputs.given))
    given_rows = None
    if first and given is not None:
        given_rows = (given != OUTSIDE).all(axis=(0, 2, 3))
    context = stage.context(inputs.context, batch, given)
    return Inputs(noise, context, inputs.strategies, given, given_rows)


def part_of(
    x: Shaped[Array, "b h w c"], positions: Int[Array, "#b H W"] | None
) -> Shaped[Array, "b H W c"]:
    """Gather the pixels of a stage; None for all of them."""
    if positions is None:
        return x
    return rearrange(x, jnp.broadcast_to(positions, (len(x), *positions.shape[1:])))


def with_part(
    grids: Int[Array, "b h w c"] | None,
    positions: Int[Array, "#b H W"] | None,
    part: Int[Array, "b H W c"],
    shape: tuple[int, ...],
) -> Int[Array, "b h w c"]:
    """Put a stage's part into the grids; the part includes the symbols given there."""
    if positions is None:
        return part
    if grids is None:
        grids = jnp.full(shape, OUTSIDE, jnp.int32)
    batch, height, width, channels = shape
    images = jnp.arange(batch)[:, None]
    places = positions.reshape(len(positions), -1)
    flat = grids.reshape(batch, height * width, channels)
    return flat.at[images, places].set(part.reshape(batch, -1, channels)).reshape(shape)


def draw_order(model: GridModel) -> Int[np.ndarray, "h w"]:
    """Compute the order in which pixels are drawn; 0 is the first."""
    order = np.full(model.grid.height * model.grid.width, OUTSIDE)
    for stage in model.stages():
        positions = stage.positions(None, 1)
        places = np.arange(order.size) if positions is None else np.asarray(positions).ravel()
        fresh = places[order[places] == OUTSIDE]
        order[fresh] = np.arange(fresh.size) + order.max() + 1
    return order.reshape(model.grid.shape[:2])

"""Draw grids from noise, one stage of the model after another.

Legend: b batch, h height, w width, c channels, H and W: height and width of a stage's grid.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from pixelprior.models.base import GridModel, Stage
from pixelprior.nn.embedding import OUTSIDE
from pixelprior.sampling.sampler import Drawn, Inputs, Sampler


def draw_grids(model: GridModel, inputs: Inputs, sampler: Sampler) -> Drawn:
    """Draw grids; the sampler draws each stage of the model.

    Every symbol has its own noise. For every model, a key therefore determines the images.
    """
    grids, evaluations = inputs.given, jnp.zeros(len(inputs.noise), jnp.int32)
    for stage in model.stages():
        drawn = sampler(stage.model, stage_inputs(stage, inputs._replace(given=grids)))
        grids = with_part(grids, stage.stride, drawn.grids, inputs.noise.shape)
        evaluations = evaluations + drawn.evaluations
    return Drawn(drawn.grids, evaluations)


def stage_inputs(stage: Stage, inputs: Inputs) -> Inputs:
    """Select the inputs of one stage; symbols drawn by earlier stages are given."""
    noise, given = jax.tree.map(
        lambda x: x[:, :: stage.stride, :: stage.stride], (inputs.noise, inputs.given)
    )
    return Inputs(noise, stage.context(inputs.context, given), inputs.strategies, given)


def with_part(
    grids: Int[Array, "b h w c"] | None,
    stride: int,
    part: Int[Array, "b H W c"],
    shape: tuple[int, ...],
) -> Int[Array, "b h w c"]:
    """Put a stage's part into the grids; the part includes the symbols given there."""
    if stride == 1:
        return part
    if grids is None:
        grids = jnp.full(shape, OUTSIDE, jnp.int32)
    return grids.at[:, ::stride, ::stride].set(part)


def draw_order(model: GridModel) -> Int[np.ndarray, "h w"]:
    """Compute the order in which pixels are drawn; 0 is the first."""
    order = np.full(model.grid.shape[:2], OUTSIDE)
    for stage in model.stages():
        drawn = order[:: stage.stride, :: stage.stride]
        fresh = drawn == OUTSIDE
        drawn[fresh] = np.arange(fresh.sum()) + order.max() + 1
    return order

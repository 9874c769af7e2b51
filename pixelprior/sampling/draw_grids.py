"""From noise to grids, stage by stage of what a model draws.

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
    """Draw grids, each stage of the model by the sampler that is asked for.

    Every symbol has its own noise, so one key is one image for every model.
    """
    grids, evaluations = inputs.given, jnp.zeros(len(inputs.noise), jnp.int32)
    for stage in model.stages():
        drawn = sampler(stage.model, stage_inputs(stage, inputs._replace(given=grids)))
        grids = with_part(grids, stage.stride, drawn.grids, inputs.noise.shape)
        evaluations = evaluations + drawn.evaluations
    return Drawn(drawn.grids, evaluations)


def stage_inputs(stage: Stage, inputs: Inputs) -> Inputs:
    """The part of the inputs that a stage draws; what earlier stages have drawn is given."""
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
    """Grids with a stage's part in its place, which holds what is given there too."""
    if stride == 1:
        return part
    if grids is None:
        grids = jnp.full(shape, OUTSIDE, jnp.int32)
    return grids.at[:, ::stride, ::stride].set(part)


def draw_order(model: GridModel) -> Int[np.ndarray, "h w"]:
    """When each pixel is drawn: 0 for the first one."""
    order = np.full(model.grid.shape[:2], OUTSIDE)
    for stage in model.stages():
        drawn = order[:: stage.stride, :: stage.stride]
        fresh = drawn == OUTSIDE
        drawn[fresh] = np.arange(fresh.sum()) + order.max() + 1
    return order

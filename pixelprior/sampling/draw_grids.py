"""From noise to grids, whatever order a model draws its symbols in.

Legend: h height, w width.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from pixelprior.models.base import AutoregressiveModel, GridModel
from pixelprior.models.multi_scale import MultiScale
from pixelprior.nn.embedding import OUTSIDE
from pixelprior.sampling.sampler import Drawn, Sampler, Task


def draw_grids(model: GridModel, task: Task, sampler: Sampler) -> Drawn:
    """Draws a model in raster order by the sampler that is asked for, one of scales scale by scale.

    Every symbol has its own noise, so that one key is one image here too.
    """
    if not isinstance(model, MultiScale):
        assert isinstance(model, AutoregressiveModel)
        return sampler(model, task)
    given = task.given
    coarse = draw_grids(
        model.coarse,
        Task(
            model.coarse_part(task.noise),
            model.coarse_context(task.context),
            task.strategies,
            None if given is None else model.coarse_part(given),
        ),
        sampler,
    )
    known = model.given(coarse.grids)
    fine = sampler(
        model.fine,
        task._replace(
            context=model.fine_context(task.context, coarse.grids),
            given=known if given is None else jnp.where(known == OUTSIDE, given, known),
        ),
    )
    return Drawn(fine.grids, coarse.evaluations + fine.evaluations)


def draw_order(model: GridModel) -> Int[np.ndarray, "h w"]:
    """When each pixel is drawn: 0 for the first one."""
    height, width, _ = model.grid.shape
    raster = np.arange(height * width).reshape(height, width)
    if not isinstance(model, MultiScale):
        return raster
    # Those of the small grid come first, in its order.
    place = raster + height * width
    place[:: model.factor, :: model.factor] = draw_order(model.coarse)
    return np.argsort(np.argsort(place, axis=None)).reshape(height, width)

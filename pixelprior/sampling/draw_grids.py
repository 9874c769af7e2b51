"""From noise to grids, whatever order a model draws its symbols in.

Legend: b batch, h height, w width, c channels.
"""

from collections.abc import Sequence

from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.models.base import AutoregressiveModel, GridModel
from pixelprior.models.multi_scale import MultiScale
from pixelprior.sampling.samplers import SAMPLERS
from pixelprior.sampling.strategies import Strategy


def draw_grids(
    model: GridModel,
    noise: Float[Array, "b h w c"],
    context: Context | None,
    strategies: Sequence[Strategy],
    method: str,
) -> Int[Array, "b h w c"]:
    """Draws a model in raster order by the sampler that is asked for, one of scales scale by scale.

    Every symbol has its own noise, so that one key is one image here too.
    """
    if isinstance(model, MultiScale):
        coarse_noise = model.coarse_part(noise)
        coarse_context = model.coarse_context(context)
        coarse = draw_grids(model.coarse, coarse_noise, coarse_context, strategies, method)
        return SAMPLERS[method](
            model.fine, noise, model.fine_context(context, coarse), strategies, model.given(coarse)
        )
    assert isinstance(model, AutoregressiveModel)
    return SAMPLERS[method](model, noise, context, strategies, None)

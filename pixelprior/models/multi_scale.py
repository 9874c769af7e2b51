"""Multi-scale generation: a small picture first, then the full one around it.

Legend: b batch, h height, w width, c channels, v values per symbol.

Every ``factor``-th pixel of every ``factor``-th row forms a small grid. A first model draws the
small grid. A second model then draws all other pixels in raster order. It receives the small grid
as a context map, and during drawing also as the pixels that are already known:

    log p(x) = log p(small) + sum over the other pixels of log p(pixel | those before it, small)

This is exact, because every pixel is drawn once, given the pixels drawn before it [1, section 3.6].

Where we deviate from [1]:

- Both models are Gated PixelCNNs.
- The small grid's pixels are given to the conditional model. In [1] it predicts them again.
- A residual network and sub-pixel convolutions turn the small grid into features (`CodeContext`).
- The small grid can itself have several scales.

[1] van den Oord et al. 2016a, Pixel Recurrent Neural Networks.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Unpack

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, Shaped

from pixelprior.context import Context
from pixelprior.grid import Grid
from pixelprior.models.base import (
    COMMON_DEFAULTS,
    AutoregressiveModel,
    CommonSettings,
    GridModel,
    Stage,
    Symbols,
    check_grids,
    context_shape,
)
from pixelprior.models.gated_pixel_cnn import GatedPixelCNN
from pixelprior.nn.code_context import CodeContext
from pixelprior.nn.compiled import compiled
from pixelprior.nn.image_keys import image_keys, split_keys
from pixelprior.nn.orders import raster_order
from pixelprior.sizes import check_sizes


class MultiScale(GridModel):
    """A chain of Gated PixelCNNs, from the smallest grid to the full one.

    Args:
        grid: size, channels and values per symbol of the full grid.
        num_scales: number of grids in the chain, the full grid included.
        factor: ratio of each grid's height and width to those of the next smaller grid.
        context_num_blocks: number of residual blocks of the network that reads a smaller grid.
        features: features of every model of the chain; see `GatedPixelCNN`.
        num_layers: layers of every model of the chain; see `GatedPixelCNN`.
        kernel_size: kernel size of every model of the chain; see `GatedPixelCNN`.
        first_kernel_size: first kernel size of every model of the chain; see `GatedPixelCNN`.
        rngs: random number generators for the initial weights.
        common: settings of every model of the chain; see `AutoregressiveModel`.

    Raises:
        InputError: if there are fewer than two scales, ``factor`` is below 2, or a kernel size is
            even or below 3.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        num_scales: int = 2,
        factor: int = 2,
        context_num_blocks: int = 2,
        features: int = 64,
        num_layers: int = 6,
        kernel_size: int = 3,
        first_kernel_size: int = 7,
        rngs: nnx.Rngs,
        **common: Unpack[CommonSettings],
    ):
        check_sizes(2, num_scales=num_scales, factor=factor)
        self.grid = grid
        self.factor = factor
        self.context_shape = context_shape(grid, common)
        map_features = common.pop("map_features", COMMON_DEFAULTS["map_features"])
        sizes: dict[str, Any] = dict(
            features=features,
            num_layers=num_layers,
            kernel_size=kernel_size,
            first_kernel_size=first_kernel_size,
            **common,
        )
        small = dataclasses.replace(
            grid, height=math.ceil(grid.height / factor), width=math.ceil(grid.width / factor)
        )
        self.coarse: GridModel = (
            GatedPixelCNN(small, map_features=map_features, rngs=rngs, **sizes)
            if num_scales == 2
            else MultiScale(
                small,
                num_scales=num_scales - 1,
                factor=factor,
                context_num_blocks=context_num_blocks,
                map_features=map_features,
                rngs=rngs,
                **sizes,
            )
        )
        # If the factor does not divide the grid's sides, the map is made for a larger grid, and
        # the surplus is cut off.
        whole = dataclasses.replace(grid, height=small.height * factor, width=small.width * factor)
        self.small_map = CodeContext(
            [small], whole, features=features, num_blocks=context_num_blocks, rngs=rngs
        )
        self.fine: AutoregressiveModel = GatedPixelCNN(
            grid, map_features=features + map_features, rngs=rngs, **sizes
        )

    @compiled(check_grids)
    def log_prob(
        self, x: Symbols, context: Context | None = None, *, dropout_key: Array | None = None
    ) -> Float[Array, " b"]:
        """See `GridModel.log_prob`."""
        keys = split_keys(image_keys(dropout_key, len(x)), 2)
        coarse = self.coarse_part(x)
        of_coarse = self.coarse.log_prob(coarse, self.coarse_context(context), dropout_key=keys[0])
        of_pixels = self.fine.pixel_log_prob(
            x, self.fine_context(context, coarse), dropout_key=keys[1]
        )
        return of_coarse + jnp.where(self._is_given(), 0.0, of_pixels).sum(axis=(1, 2))

    @compiled(check_grids)
    def logits(self, x: Symbols, context: Context | None = None) -> Float[Array, "b h w c v"]:
        """See `GridModel.logits`."""
        coarse = self.coarse_part(x)
        logits = self.fine.logits(x, self.fine_context(context, coarse))
        of_coarse = self.coarse.logits(coarse, self.coarse_context(context))
        return logits.at[:, :: self.factor, :: self.factor].set(of_coarse)

    def stages(self) -> Sequence[Stage]:
        """See `GridModel.stages`; the stages of the small grid, then the full grid."""
        small = [
            stage._replace(
                positions=functools.partial(self._small_stage_positions, stage),
                context=functools.partial(self._small_stage_context, stage),
            )
            for stage in self.coarse.stages()
        ]
        return [*small, Stage(self.fine, lambda *_: None, self._fine_stage_context)]

    def with_networks(
        self, change: Callable[[AutoregressiveModel], AutoregressiveModel]
    ) -> GridModel:
        """See `GridModel.with_networks`; the networks of all scales."""
        model = nnx.clone(self)
        model.coarse, model.fine = self.coarse.with_networks(change), change(self.fine)
        return model

    def _small_stage_positions(self, stage: Stage, context: Context | None, batch: int) -> Any:
        coarse = self.coarse_part(raster_order(1, self.grid))
        of_coarse = stage.positions(context, batch)
        return coarse if of_coarse is None else coarse.reshape(-1)[of_coarse]

    def _small_stage_context(
        self, stage: Stage, context: Context | None, batch: int, given: Any
    ) -> Any:
        return stage.context(self.coarse_context(context), batch, given)

    def _fine_stage_context(self, context: Context | None, batch: int, given: Any) -> Context:
        return self.fine_context(context, self.coarse_part(given))

    def coarse_part(self, x: Shaped[Array, "b h w _"]) -> Shaped[Array, "b H W _"]:
        """Return the entries of ``x`` at the positions of the small grid."""
        return x[:, :: self.factor, :: self.factor]

    def coarse_context(self, context: Context | None) -> Context | None:
        """Return the context of the small grid's model."""
        if context is None or context.map is None:
            return context
        return dataclasses.replace(context, map=self.coarse_part(context.map))

    def fine_context(self, context: Context | None, coarse: Int[Array, "b H W c"]) -> Context:
        """Return the context of the full grid's model: the small grid, and the given context."""
        context = context or Context()
        map_ = self.small_map([coarse])[:, : self.grid.height, : self.grid.width]
        if context.map is not None:
            map_ = jnp.concatenate([map_, context.map], axis=-1)
        return dataclasses.replace(context, map=map_)

    def _is_given(self) -> Bool[Array, "h w"]:
        rows, columns = jnp.arange(self.grid.height), jnp.arange(self.grid.width)
        return (rows[:, None] % self.factor == 0) & (columns % self.factor == 0)

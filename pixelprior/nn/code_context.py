"""Codes of coarser grids, turned into a map of features on a finer grid.

Legend: b batch, h height, w width, c channels (codebooks), m features.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.nn.embedding import SymbolEmbedding
from pixelprior.nn.residual import ResidualTower, Upsample


class CodeContext(nnx.Module):
    """Residual network that upsamples coarser codes to the grid of finer codes.

    The network starts from the coarsest codes. On every grid on the way up, it adds the codes of
    that grid. The finest level is therefore conditioned on all levels above it (Razavi et al. 2019,
    section 3.2).

    Args:
        coarser: grids whose codes are known, the coarsest first.
        grid: grid of the resulting map.
        features: number of features of the map, and of all layers.
        num_blocks: number of residual blocks on every grid.
        rngs: random number generators for the initial weights.

    Raises:
        InputError: if a grid's height and width are not the same multiple of those of the coarser
            grid before it.
    """

    def __init__(
        self,
        coarser: Sequence[Grid],
        grid: Grid,
        *,
        features: int,
        num_blocks: int,
        rngs: nnx.Rngs,
    ):
        self.coarser = tuple(coarser)
        self.embeddings = nnx.List(
            [
                SymbolEmbedding(known.channels, known.levels, features, rngs=rngs)
                for known in coarser
            ]
        )
        finer = [*coarser[1:], grid]
        self.towers = nnx.List(
            [
                ResidualTower(features, features, r=features, depth=num_blocks, rngs=rngs)
                for _ in coarser
            ]
        )
        self.upsamples = nnx.List(
            [
                Upsample(features, features, _ratio(below, above), rngs=rngs)
                for below, above in zip(coarser, finer, strict=True)
            ]
        )

    def __call__(self, codes: Sequence[Int[Array, "b _ _ _"]]) -> Float[Array, "b h w m"]:
        """Return the map, given the codes of all coarser grids, the coarsest first."""
        for known, values in zip(self.coarser, codes, strict=True):
            known.check(values)
        x: Any = None
        for embedding, tower, upsample, values in zip(
            self.embeddings, self.towers, self.upsamples, codes, strict=True
        ):
            # A byte cannot hold an index into the joint table of several channels. Models convert
            # their own symbols for the same reason.
            here = embedding(values.astype(jnp.int32))
            x = upsample(tower(here if x is None else x + here))
        return x


def _ratio(coarse: Grid, fine: Grid) -> int:
    ratio = fine.height // coarse.height
    if (fine.height, fine.width) != (coarse.height * ratio, coarse.width * ratio):
        raise InputError(
            f"expected a grid whose sides are one multiple of {coarse.height} x {coarse.width}, "
            f"got {fine.height} x {fine.width}"
        )
    return ratio

"""Codes of coarser grids as a map of features on a finer one.

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
    """A residual network that carries coarser codes up to the grid of finer ones.

    It starts from the coarsest codes, and on every grid on the way up takes in the codes there, so
    that the finest level is told of all the levels above it. Razavi et al. 2019, section 3.2.

    Args:
        coarser: the grids whose codes are known, the coarsest first.
        grid: the grid that the map is for.
        features: of the map, and of everything on the way.
        num_blocks: residual blocks on every grid.
        rngs: where the initial weights come from.

    Raises:
        InputError: if a grid is not a multiple of the one before it, equally in both directions.
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
        """The map, given the codes of all coarser grids, the coarsest first."""
        for known, values in zip(self.coarser, codes, strict=True):
            known.check(values)
        x: Any = None
        for embedding, tower, upsample, values in zip(
            self.embeddings, self.towers, self.upsamples, codes, strict=True
        ):
            # As for a model's own symbols: bytes do not hold the places of several channels.
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

"""Grids of symbols: every model here is a distribution over grids."""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Array, Int

from pixelprior.errors import InputError


@dataclasses.dataclass(frozen=True)
class Grid:
    """Shape of an image or of a map of codes, and the number of values per symbol.

    A batch of such grids is an integer array ``[batch, height, width, channels]`` of symbols in
    ``[0, levels)``. The raster order is row by row, left to right, channel by channel.

    Raises:
        InputError: if a size is not a positive integer, or ``levels`` is below 2.
    """

    height: int
    width: int
    channels: int
    levels: int

    def __post_init__(self) -> None:
        for name, least in (("height", 1), ("width", 1), ("channels", 1), ("levels", 2)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise InputError(
                    f"Grid.{name} must be an integer of at least {least}, got {value!r}"
                )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one grid: ``(height, width, channels)``."""
        return (self.height, self.width, self.channels)

    @property
    def size(self) -> int:
        """Number of symbols in one grid: the divisor in bits per dimension."""
        return self.height * self.width * self.channels

    def check(self, x: Int[Array, "b h w c"] | Int[np.ndarray, "b h w c"]) -> None:
        """Raise an InputError unless ``x`` is a batch of such grids.

        Under a JAX transformation the values are unknown, and only shape and type are checked.
        Outside data is checked where it enters, as concrete arrays.
        """
        if not hasattr(x, "dtype"):
            raise InputError(
                f"expected one array of symbols [batch, {self._sizes()}], got {type(x).__name__}; "
                "jnp.asarray makes one"
            )
        if x.ndim != 4 or x.shape[1:] != self.shape:
            raise InputError(f"expected symbols of shape [batch, {self._sizes()}], got {x.shape}")
        if not np.issubdtype(x.dtype, np.integer):
            raise InputError(
                f"expected integer symbols in [0, {self.levels}), got {x.dtype}; "
                "pixelprior.data.Symbols turns pixels into symbols"
            )
        if isinstance(x, jax.core.Tracer) or x.size == 0:
            return
        # With NumPy: a concrete array met while tracing must not become part of the trace.
        values = np.asarray(x)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high >= self.levels:
            raise InputError(
                f"expected symbols in [0, {self.levels}), got values from {low} to {high}; "
                "quantise images to the model's levels first, or give codes of the right tokenizer"
            )

    @staticmethod
    def check_maps(maps: Sequence[Array], grids: Sequence["Grid"]) -> None:
        """Raise an InputError unless there is one map of symbols for each grid, and all fit."""
        if not isinstance(maps, list | tuple):
            raise InputError(
                f"expected a list of {len(grids)} maps of codes, the coarsest first, got one "
                f"{type(maps).__name__}; put it in a list"
            )
        if len(maps) != len(grids):
            raise InputError(
                f"expected {len(grids)} maps of codes, the coarsest first, got {len(maps)}"
            )
        for grid, values in zip(grids, maps, strict=True):
            grid.check(values)

    def _sizes(self) -> str:
        return f"{self.height}, {self.width}, {self.channels}"


def check_grid(grid: Grid) -> None:
    """Raise an InputError unless ``grid`` is a `Grid`."""
    if not isinstance(grid, Grid):
        raise InputError(
            "grid must be a Grid such as pp.Grid(height=28, width=28, channels=1, levels=2), "
            f"got {grid!r:.80}"
        )

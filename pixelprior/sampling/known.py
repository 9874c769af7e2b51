"""Symbols that are known before sampling; the other symbols are drawn around them."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.nn.embedding import OUTSIDE

UNKNOWN = OUTSIDE
"""Value of a symbol that must be drawn: -1, so arrays of known symbols have a signed type."""


def check_known(known: Int[Array, "b h w c"], grid: Grid, num: int) -> Int[Array, "b h w c"]:
    """Check known symbols; return them as int32, the type that samplers take.

    Raises:
        InputError: if they are not integers, not ``num`` grids, or neither `UNKNOWN` nor symbols of
            the grid. Values are checked for concrete arrays only.
    """
    shape = (num, *grid.shape)
    if not hasattr(known, "dtype"):
        raise InputError(
            f"known must be an array of shape {list(shape)}, got {type(known).__name__}; "
            "jnp.asarray makes one"
        )
    if not jnp.issubdtype(known.dtype, jnp.integer) or known.shape != shape:
        raise InputError(
            f"known must be integers of shape {list(shape)}, got {known.dtype} {list(known.shape)}"
        )
    if not isinstance(known, jax.core.Tracer):
        # With NumPy: a JAX operation would become part of the current trace.
        values = np.asarray(known)
        low, high = values.min(), values.max()
        if low < UNKNOWN or high >= grid.levels:
            raise InputError(
                f"known symbols must be in [0, {grid.levels}), or {UNKNOWN} where there are none, "
                f"got values from {low} to {high}"
            )
    return jnp.asarray(known, jnp.int32)

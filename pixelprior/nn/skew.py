"""Skewing: a grid's diagonals become columns (van den Oord et al. 2016a, section 3.2, figure 3).

Legend: b batch, h height, w width, d features, n = w + h - 1 diagonals.

Row i moves i places to the right, and position (i, j) moves to column i + j:

    a b c          a b c . .
    d e f    ->    . d e f .
    g h i          . . g h i

The left and the upper neighbour of every position are then both in the previous column. A whole
column can therefore be computed at once. The column is the leading axis, as ``lax.scan`` needs it.
"""

import jax.numpy as jnp
from jaxtyping import Array, Shaped


def skew(x: Shaped[Array, "b h w d"]) -> Shaped[Array, "n b h d"]:
    """Return the diagonals of a grid; zeros before the start and after the end of a row."""
    b, h, w, d = x.shape
    # Pad each row by h, then read the same data as rows padded by h - 1. Each row then begins one
    # place later than the row above.
    longer = jnp.pad(x, ((0, 0), (0, 0), (0, h), (0, 0))).reshape(b, h * (w + h), d)
    return jnp.transpose(longer[:, :-h].reshape(b, h, w + h - 1, d), (2, 0, 1, 3))


def unskew(diagonals: Shaped[Array, "n b h d"]) -> Shaped[Array, "b h w d"]:
    """Return the grid, given its diagonals; the inverse of `skew`."""
    n, b, h, d = diagonals.shape
    flat = jnp.transpose(diagonals, (1, 2, 0, 3)).reshape(b, h * n, d)
    longer = jnp.pad(flat, ((0, 0), (0, h), (0, 0))).reshape(b, h, n + 1, d)
    return longer[:, :, : n + 1 - h]

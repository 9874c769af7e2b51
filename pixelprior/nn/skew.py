"""Skewing: the grid's diagonals as columns (van den Oord et al. 2016a, section 3.2 and figure 3).

Legend: b batch, h height, w width, d features, n = w + h - 1 diagonals.

Row i is moved i places to the right, so that position (i, j) comes to stand in column i + j:

    a b c          a b c . .
    d e f    ->    . d e f .
    g h i          . . g h i

The neighbour to the left, and the one above, of every position of a column are then both in the
column before, and a whole column can be computed at once. The column is the leading axis, as
``lax.scan`` wants it.
"""

import jax.numpy as jnp
from jaxtyping import Array, Shaped


def skew(x: Shaped[Array, "b h w d"]) -> Shaped[Array, "n b h d"]:
    """The diagonals of a grid; zeros where a row has not begun or is over."""
    b, h, w, d = x.shape
    # Rows that are h longer, read as rows that are h - 1 longer: each begins one place later.
    longer = jnp.pad(x, ((0, 0), (0, 0), (0, h), (0, 0))).reshape(b, h * (w + h), d)
    return jnp.transpose(longer[:, :-h].reshape(b, h, w + h - 1, d), (2, 0, 1, 3))


def unskew(diagonals: Shaped[Array, "n b h d"]) -> Shaped[Array, "b h w d"]:
    """The grid of which these are the diagonals; undoes `skew`."""
    n, b, h, d = diagonals.shape
    flat = jnp.transpose(diagonals, (1, 2, 0, 3)).reshape(b, h * n, d)
    longer = jnp.pad(flat, ((0, 0), (0, h), (0, 0))).reshape(b, h, n + 1, d)
    return longer[:, :, : n + 1 - h]

"""The two primitives of every causal convolution in this package: `Above` and `Left`.

Legend: b batch, h height, w width, d features in, e features out, r rows and k columns of a kernel.

`Above` reads its own row and the rows above it. `Left` reads its own column and the columns to the
left of it. Their kernels have no other taps, and therefore need no mask. A network becomes causal
only by a shift of its input, with `shift_down` or `shift_right`. After the shift, a layer's own row
or column holds the row or column before it.

Both layers work on a *chunk*: some rows, or some columns, with the ``past`` before them. A whole
grid is one chunk with a past of zeros. A sampler passes chunks of one row or of one column, and
carries the past from chunk to chunk. The code and the weights are the same in both cases, and
therefore the results agree.
"""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Shaped

from pixelprior.errors import InputError
from pixelprior.nn.initializers import kernel
from pixelprior.nn.products import correlate


def shift_down(x: Shaped[Array, "b h w c"], fill: int = 0) -> Shaped[Array, "b h w c"]:
    """Move every row down by one: (i, j) receives the value of (i - 1, j), row 0 ``fill``."""
    return jnp.pad(x[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0)), constant_values=fill)


def shift_right(x: Shaped[Array, "b h w c"], fill: int = 0) -> Shaped[Array, "b h w c"]:
    """Move every column right by one: (i, j) receives that of (i, j - 1), column 0 ``fill``."""
    return jnp.pad(x[:, :, :-1], ((0, 0), (0, 0), (1, 0), (0, 0)), constant_values=fill)


class Above(nnx.Module):
    """Convolution over the own row and the ``rows - 1`` rows above it, ``columns`` wide.

    Raises:
        InputError: if ``columns`` is even.
    """

    def __init__(self, rows: int, columns: int, d: int, e: int, *, rngs: nnx.Rngs):
        if columns % 2 == 0:
            raise InputError(f"a centred kernel has an odd number of columns, got {columns}")
        self.kernel = kernel(rows, columns, d, e, rngs=rngs)

    def init_past(self, batch: int, width: int) -> Float[Array, "b rows-1 w d"]:
        """Return the past of the first row: zeros, for the rows above the grid."""
        rows, _, d, _ = self.kernel.shape
        return jnp.zeros((batch, rows - 1, width, d), self.kernel.dtype)

    def __call__(
        self, x: Float[Array, "b h w d"], past: Float[Array, "b rows-1 w d"]
    ) -> tuple[Float[Array, "b h w e"], Float[Array, "b rows-1 w d"]]:
        """Return the outputs for the rows of ``x``, and the past of the rows that follow."""
        margin = self.kernel.shape[1] // 2
        extended = jnp.concatenate([past, x], axis=1)
        wide = jnp.pad(extended, ((0, 0), (0, 0), (margin, margin), (0, 0)))
        return correlate(wide, self.kernel[...]), extended[:, x.shape[1] :]


class Left(nnx.Module):
    """Convolution over the own column and the ``columns - 1`` columns to the left of it."""

    def __init__(self, columns: int, d: int, e: int, *, rngs: nnx.Rngs):
        self.kernel = kernel(1, columns, d, e, rngs=rngs)

    def init_past(self, batch: int, height: int) -> Float[Array, "b h columns-1 d"]:
        """Return the past of the first column: zeros, for the columns to the left of the grid."""
        _, columns, d, _ = self.kernel.shape
        return jnp.zeros((batch, height, columns - 1, d), self.kernel.dtype)

    def __call__(
        self, x: Float[Array, "b h w d"], past: Float[Array, "b h columns-1 d"]
    ) -> tuple[Float[Array, "b h w e"], Float[Array, "b h columns-1 d"]]:
        """Return the outputs for the columns of ``x``, and the past of the columns that follow."""
        extended = jnp.concatenate([past, x], axis=2)
        return correlate(extended, self.kernel[...]), extended[:, :, x.shape[2] :]

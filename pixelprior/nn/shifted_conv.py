"""Down-right-shifted convolutions, and steps between resolutions that keep the raster order.

Legend: b batch, h height, w width, d features in, e features out, H and W: h and w halved,
rounded up.

Position (I, J) of a coarse grid stands for position (2 I, 2 J) of the fine grid. It may depend on
positions before that one in raster order. A step down therefore reads nothing below or to the right
of (2 I, 2 J). A step up writes nothing above or to the left of it.

Reference: Salimans et al. 2017 (PixelCNN++), section 2.3 and figure 2.
"""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pixelprior.nn.initializers import kernel, linear, zeros
from pixelprior.nn.products import correlate, product


class DownRightConv(nnx.Module):
    """2x2 convolution over the own position and the ones above, to the left, and to the upper left.

    It works on chunks, as `Above` and `Left` do, and has two parts. The part from the row above is
    known for a whole row at once. The part from the own row is known only position by position.
    """

    def __init__(self, d: int, e: int, *, rngs: nnx.Rngs):
        self.kernel = kernel(2, 2, d, e, rngs=rngs)
        self.bias = nnx.Param(zeros(e))

    def __call__(self, x: Float[Array, "b h w d"]) -> Float[Array, "b h w e"]:
        """Apply the convolution to whole grids."""
        extended = jnp.pad(x, ((0, 0), (1, 0), (1, 0), (0, 0)))
        return correlate(extended, self.kernel[...]) + self.bias[...]

    def from_above(self, row: Float[Array, "b 1 w d"]) -> Float[Array, "b 1 w e"]:
        """Return the contribution of the row above to every position of a row, plus the bias."""
        extended = jnp.pad(row, ((0, 0), (0, 0), (1, 0), (0, 0)))
        return correlate(extended, self.kernel[:1]) + self.bias[...]

    def from_left(
        self, x: Float[Array, "b 1 k d"], past: Float[Array, "b 1 1 d"]
    ) -> Float[Array, "b 1 k e"]:
        """Return the contribution of each column and of the column to its left.

        ``past`` is the column to the left of the first one.
        """
        return correlate(jnp.concatenate([past, x], axis=2), self.kernel[1:])


class Downsample(nnx.Module):
    """`DownRightConv` with a stride of 2; coarse position (I, J) is at (2 I, 2 J) of the input.

    The windows do not overlap. Each window is one vector, and all windows are one matrix product.
    """

    def __init__(self, d: int, e: int, *, rngs: nnx.Rngs):
        self.kernel = kernel(2, 2, d, e, rngs=rngs)
        self.bias = nnx.Param(zeros(e))

    def __call__(
        self, x: Float[Array, "b h w d"], past: Float[Array, "b 1 w d"]
    ) -> Float[Array, "b H W e"]:
        """Return one coarse row per even row of ``x``; ``past`` is the row above the first row."""
        extended = jnp.pad(jnp.concatenate([past, x], axis=1), ((0, 0), (0, 0), (1, 0), (0, 0)))
        b, h, w, d = extended.shape
        # A single row or column left over at the end belongs to no window.
        windows = extended[:, : h - h % 2, : w - w % 2].reshape(b, h // 2, 2, w // 2, 2, d)
        vectors = windows.transpose(0, 1, 3, 2, 4, 5).reshape(b, h // 2, w // 2, 4 * d)
        return product(vectors, self.kernel.reshape(4 * d, -1)) + self.bias[...]

    def from_above(self, row: Float[Array, "b 1 w d"]) -> Float[Array, "b 1 W e"]:
        """Return the contribution of the row above an even row to the coarse row, plus the bias."""
        extended = jnp.pad(row, ((0, 0), (0, 0), (1, 0), (0, 0)))
        return _pairs(extended) @ self._row(0) + self.bias[...]

    def from_left(
        self, x: Float[Array, "b 1 k d"], past: Float[Array, "b 1 1 d"]
    ) -> Float[Array, "b 1 K e"]:
        """Return an even row's contribution, from each even column and the column to its left.

        The first of the given columns is even, and ``past`` is the column to its left.
        """
        return _pairs(jnp.concatenate([past, x], axis=2)) @ self._row(1)

    def _row(self, row: int) -> Float[Array, "2*d e"]:
        """Return a row of the kernel, as a matrix for pairs of columns."""
        _, _, d, e = self.kernel.shape
        return self.kernel[row].reshape(2 * d, e)


def _pairs(x: Float[Array, "b 1 w d"]) -> Float[Array, "b 1 W 2*d"]:
    """Concatenate the features of each pair of columns; drop a single column at the end."""
    b, _, w, d = x.shape
    return x[:, :, : w - w % 2].reshape(b, 1, w // 2, 2 * d)


class Upsample(nnx.Module):
    """Step up: coarse position (I, J) becomes the 2x2 fine positions that begin at (2 I, 2 J)."""

    def __init__(self, d: int, e: int, *, rngs: nnx.Rngs):
        self.linear = linear(d, 4 * e, rngs=rngs)

    def __call__(
        self, x: Float[Array, "b H W d"], height: int, width: int
    ) -> Float[Array, "b h w e"]:
        """Return the fine grid, cut to ``height`` and ``width``, which may be odd."""
        return interleave(self.linear(x))[:, :height, :width]


def interleave(x: Float[Array, "b H W 4*e"]) -> Float[Array, "b 2*H 2*W e"]:
    """Arrange the four vectors of each position in two rows and two columns."""
    b, h, w, e = x.shape
    rows = x.reshape(b, h, w, 2, 2, e // 4).transpose(0, 1, 3, 2, 4, 5)
    return rows.reshape(b, 2 * h, 2 * w, e // 4)

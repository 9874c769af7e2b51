"""Down-right-shifted convolutions, and steps between resolutions that keep the order of pixels.

Legend: b batch, h height, w width, d features in, e features out, H and W: h and w halved,
rounded up.

Position (I, J) of a coarse grid stands for position (2 I, 2 J) of the fine one, and may know what
comes before that one in raster order. So a step down reads nothing below or to the right of
(2 I, 2 J), and a step up writes nothing above or to the left of it.

The paper is Salimans et al. 2017 (PixelCNN++), section 2.3 and figure 2.
"""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pixelprior.nn.causal import correlate
from pixelprior.nn.initializers import kernel, linear, zeros


class DownRightConv(nnx.Module):
    """A convolution over the own position and its neighbours above, to the left and between them.

    Like `Above` and `Left` it works on chunks, in two parts: what comes from the row above is known
    for a whole row at once, what comes from the own row only position by position.
    """

    def __init__(self, d: int, e: int, *, rngs: nnx.Rngs):
        self.kernel = kernel(2, 2, d, e, rngs=rngs)
        self.bias = nnx.Param(zeros(e))

    def __call__(self, x: Float[Array, "b h w d"]) -> Float[Array, "b h w e"]:
        """The convolution over whole grids."""
        extended = jnp.pad(x, ((0, 0), (1, 0), (1, 0), (0, 0)))
        return correlate(extended, self.kernel[...]) + self.bias[...]

    def from_above(self, row: Float[Array, "b 1 w d"]) -> Float[Array, "b 1 w e"]:
        """What the row above gives to every position of a row, and the bias."""
        extended = jnp.pad(row, ((0, 0), (0, 0), (1, 0), (0, 0)))
        return correlate(extended, self.kernel[:1]) + self.bias[...]

    def from_left(
        self, x: Float[Array, "b 1 k d"], past: Float[Array, "b 1 1 d"]
    ) -> Float[Array, "b 1 k e"]:
        """What each column and the one to the left of it give; ``past`` is left of the first."""
        return correlate(jnp.concatenate([past, x], axis=2), self.kernel[1:])


class Downsample(nnx.Module):
    """A `DownRightConv` of stride 2: (I, J) looks at (2 I, 2 J) and what is above and left of it.

    Its windows do not overlap: each is one vector, and all together one matrix product.
    """

    def __init__(self, d: int, e: int, *, rngs: nnx.Rngs):
        self.kernel = kernel(2, 2, d, e, rngs=rngs)
        self.bias = nnx.Param(zeros(e))

    def __call__(
        self, x: Float[Array, "b h w d"], past: Float[Array, "b 1 w d"]
    ) -> Float[Array, "b H W e"]:
        """The coarse rows that an even row of ``x`` begins; ``past`` is the row above the first."""
        extended = jnp.pad(jnp.concatenate([past, x], axis=1), ((0, 0), (0, 0), (1, 0), (0, 0)))
        b, h, w, d = extended.shape
        # What is left over at the end belongs to no window.
        windows = extended[:, : h - h % 2, : w - w % 2].reshape(b, h // 2, 2, w // 2, 2, d)
        vectors = windows.transpose(0, 1, 3, 2, 4, 5).reshape(b, h // 2, w // 2, 4 * d)
        return vectors @ self.kernel.reshape(4 * d, -1) + self.bias[...]

    def from_above(self, row: Float[Array, "b 1 w d"]) -> Float[Array, "b 1 W e"]:
        """What the row above an even row gives to the coarse row, and the bias."""
        extended = jnp.pad(row, ((0, 0), (0, 0), (1, 0), (0, 0)))
        return _pairs(extended) @ self._row(0) + self.bias[...]

    def from_left(
        self, x: Float[Array, "b 1 k d"], past: Float[Array, "b 1 1 d"]
    ) -> Float[Array, "b 1 K e"]:
        """What an even row gives at its even columns: each, and the one to the left of it.

        The first of the columns is even, and ``past`` is left of it.
        """
        return _pairs(jnp.concatenate([past, x], axis=2)) @ self._row(1)

    def _row(self, row: int) -> Float[Array, "2*d e"]:
        """The kernel's row, as a matrix for pairs of columns."""
        _, _, d, e = self.kernel.shape
        return self.kernel[row].reshape(2 * d, e)


def _pairs(x: Float[Array, "b 1 w d"]) -> Float[Array, "b 1 W 2*d"]:
    """Two columns side by side; what is left over at the end belongs to no pair."""
    b, _, w, d = x.shape
    return x[:, :, : w - w % 2].reshape(b, 1, w // 2, 2 * d)


class Upsample(nnx.Module):
    """Each coarse position gives the four fine ones that begin at the one it stands for."""

    def __init__(self, d: int, e: int, *, rngs: nnx.Rngs):
        self.linear = linear(d, 4 * e, rngs=rngs)

    def __call__(
        self, x: Float[Array, "b H W d"], height: int, width: int
    ) -> Float[Array, "b h w e"]:
        """The step up, without what lies beyond a fine grid of an odd size."""
        return interleave(self.linear(x))[:, :height, :width]


def interleave(x: Float[Array, "b H W 4*e"]) -> Float[Array, "b 2*H 2*W e"]:
    """Puts the four vectors of a position in two rows and two columns."""
    b, h, w, e = x.shape
    rows = x.reshape(b, h, w, 2, 2, e // 4).transpose(0, 1, 3, 2, 4, 5)
    return rows.reshape(b, 2 * h, 2 * w, e // 4)

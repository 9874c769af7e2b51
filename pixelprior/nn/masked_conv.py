"""The masked convolution of van den Oord et al. (2016a, section 3.4), without a mask.

Legend: b batch, h height, w width, d features in, e features out.
"""

from typing import Literal

from flax import nnx
from jaxtyping import Array, Float

from pixelprior.errors import InputError
from pixelprior.nn.causal import Above, Left, shift_down, shift_right


class MaskedConv(nnx.Module):
    """A square convolution that sees only what comes before in raster order.

    Kind ``"A"`` does not see its own position, kind ``"B"`` does. Both are the sum of `Above` over
    the rows above and `Left` over the current row, so the taps that a mask would silence do not
    exist: they cost nothing, and no gradient reaches them.

    The two halves are called one by one, with the pasts they need, by a sampler that finishes the
    rows above before it walks along a row; calling the module does both for a whole grid.

    Raises:
        InputError: if ``kernel_size`` is even or below 3, or ``kind`` is neither "A" nor "B".
    """

    def __init__(
        self, kind: Literal["A", "B"], kernel_size: int, d: int, e: int, *, rngs: nnx.Rngs
    ):
        if kernel_size % 2 == 0 or kernel_size < 3:
            raise InputError(f"kernel_size must be odd and at least 3, got {kernel_size}")
        if kind not in ("A", "B"):
            raise InputError(f"kind must be 'A' (without its own position) or 'B', got {kind!r}")
        half = kernel_size // 2
        self.sees_itself = kind == "B"
        self.above = Above(half, kernel_size, d, e, rngs=rngs)
        self.left = Left(half + self.sees_itself, d, e, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w d"]) -> Float[Array, "b h w e"]:
        """The convolution over whole grids."""
        b, h, w, _ = x.shape
        own_row = x if self.sees_itself else shift_right(x)
        above, _ = self.above(shift_down(x), self.above.init_past(b, w))
        left, _ = self.left(own_row, self.left.init_past(b, h))
        return above + left

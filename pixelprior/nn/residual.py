"""Residual networks that see everything around them, for encoders, decoders and contexts.

Legend: b batch, h height, w width, c channels in, d features, r hidden features, s stride.

The causal layers of `pixelprior.nn.causal` are for what must not look ahead; these may.
"""

import jax
from flax import nnx
from jaxtyping import Array, Float


class ResidualBlock(nnx.Module):
    """relu, 3x3 to ``r`` features, relu, 1x1 back to ``d``, added to the input."""

    def __init__(self, d: int, r: int, *, rngs: nnx.Rngs):
        self.wide = nnx.Conv(d, r, (3, 3), rngs=rngs)
        self.back = nnx.Linear(r, d, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w d"]) -> Float[Array, "b h w d"]:
        """Returns the input and what the block adds to it."""
        return x + self.back(jax.nn.relu(self.wide(jax.nn.relu(x))))


class ResidualTower(nnx.Module):
    """A 3x3 convolution to ``d`` features, ``depth`` residual blocks, and a relu."""

    def __init__(self, c: int, d: int, *, r: int, depth: int, rngs: nnx.Rngs):
        self.first = nnx.Conv(c, d, (3, 3), rngs=rngs)
        self.blocks = nnx.List([ResidualBlock(d, r, rngs=rngs) for _ in range(depth)])

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
        """Returns features, none of them negative."""
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return jax.nn.relu(x)


class Downsample(nnx.Module):
    """Strided convolutions, one for each prime factor of ``stride``, with a relu after each.

    A factor f has a kernel of 2f x 2f, so that neighbouring outputs overlap (for 2 the 4x4 kernel
    of van den Oord et al. 2017, section 4.1).
    """

    def __init__(self, c: int, d: int, stride: int, *, rngs: nnx.Rngs):
        self.convs = nnx.List(
            [
                nnx.Conv(c if number == 0 else d, d, (2 * f, 2 * f), strides=(f, f), rngs=rngs)
                for number, f in enumerate(_prime_factors(stride))
            ]
        )

    def __call__(self, x: Float[Array, "b s*h s*w c"]) -> Float[Array, "b h w d"]:
        """Returns the features of the coarser grid."""
        for conv in self.convs:
            x = jax.nn.relu(conv(x))
        return x


class Upsample(nnx.Module):
    """Transposed convolutions, one for each prime factor of ``stride``, with a relu between them.

    ``c`` features in, ``d`` on the way and ``out`` at the end.
    """

    def __init__(self, c: int, d: int, out: int, stride: int, *, rngs: nnx.Rngs):
        factors = _prime_factors(stride)
        sizes = [c, *[d] * (len(factors) - 1), out]
        self.convs = nnx.List(
            [
                nnx.ConvTranspose(sizes[n], sizes[n + 1], (2 * f, 2 * f), strides=(f, f), rngs=rngs)
                for n, f in enumerate(factors)
            ]
        )

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b s*h s*w out"]:
        """Returns the features of the finer grid."""
        for number, conv in enumerate(self.convs):
            x = conv(jax.nn.relu(x) if number else x)
        return x


def _prime_factors(stride: int) -> list[int]:
    """The prime factors in ascending order; [1] for 1, which still is one convolution."""
    factors, rest, factor = [], stride, 2
    while rest > 1:
        while rest % factor == 0:
            factors.append(factor)
            rest //= factor
        factor += 1
    return factors or [1]

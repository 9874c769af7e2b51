"""Residual networks that are not causal, for encoders, decoders and contexts.

Legend: b batch, h height, w width, c channels in, d features, r hidden features, s stride.

These layers read positions in all directions. Networks that must not read later positions use the
causal layers of `pixelprior.nn.causal`.
"""

from collections.abc import Sequence

import jax
from flax import nnx
from jaxtyping import Array, Float

from pixelprior.nn.initializers import conv, linear


class ResidualBlock(nnx.Module):
    """Residual block: relu, 3x3 to ``r`` features, relu, 1x1 back to ``d``."""

    def __init__(self, d: int, r: int, *, rngs: nnx.Rngs):
        self.wide = conv(d, r, (3, 3), rngs=rngs)
        self.back = linear(r, d, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w d"]) -> Float[Array, "b h w d"]:
        """Return the sum of the input and the block's result."""
        return x + self.back(jax.nn.relu(self.wide(jax.nn.relu(x))))


class ResidualTower(nnx.Module):
    """A 3x3 convolution to ``d`` features, ``depth`` residual blocks, and a relu."""

    def __init__(self, c: int, d: int, *, r: int, depth: int, rngs: nnx.Rngs):
        self.first = conv(c, d, (3, 3), rngs=rngs)
        self.blocks = nnx.List([ResidualBlock(d, r, rngs=rngs) for _ in range(depth)])

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
        """Return non-negative features."""
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return jax.nn.relu(x)


class Downsample(nnx.Module):
    """Strided convolutions, one for each prime factor of ``stride``, with a relu after each.

    The kernel of a factor f is 2f x 2f, so that the inputs of neighbouring outputs overlap. For
    f = 2 it is the 4x4 kernel of van den Oord et al. 2017, section 4.1. The last convolution
    returns ``d`` features, all others half as many.
    """

    def __init__(self, c: int, d: int, stride: int, *, rngs: nnx.Rngs):
        factors = _prime_factors(stride)
        sizes = [c, *_halved(d, factors), d]
        self.convs = nnx.List(
            [
                conv(sizes[n], sizes[n + 1], (2 * f, 2 * f), strides=(f, f), rngs=rngs)
                for n, f in enumerate(factors)
            ]
        )

    def __call__(self, x: Float[Array, "b s*h s*w c"]) -> Float[Array, "b h w d"]:
        """Return the features of the coarser grid."""
        for layer in self.convs:
            x = jax.nn.relu(layer(x))
        return x


class Upsample(nnx.Module):
    """Sub-pixel convolutions, one for each prime factor of ``stride``, with a relu between them.

    For a factor f, a 3x3 convolution returns f*f times the features. They become the features of
    the f x f pixels that replace a position (Shi et al. 2016, section 2.2). This computes the same
    functions as a transposed convolution with a kernel of 3f. On CPUs its gradient takes a third of
    the time.

    The input has ``d`` features, the result ``out``, and the layers between ``d // 2``.
    """

    def __init__(self, d: int, out: int, stride: int, *, rngs: nnx.Rngs):
        self.factors = tuple(_prime_factors(stride))
        sizes = [d, *_halved(d, self.factors), out]
        self.convs = nnx.List(
            [
                conv(sizes[n], f * f * sizes[n + 1], (3, 3), rngs=rngs)
                for n, f in enumerate(self.factors)
            ]
        )

    def __call__(self, x: Float[Array, "b h w d"]) -> Float[Array, "b s*h s*w out"]:
        """Return the features of the finer grid."""
        for number, (factor, layer) in enumerate(zip(self.factors, self.convs, strict=True)):
            x = spread(layer(jax.nn.relu(x) if number else x), factor)
        return x


def spread(x: Float[Array, "b h w f*f*d"], factor: int) -> Float[Array, "b f*h f*w d"]:
    """Split every position's features over ``factor * factor`` positions, row by row."""
    b, h, w, _ = x.shape
    x = x.reshape(b, h, w, factor, factor, -1).swapaxes(2, 3)
    return x.reshape(b, h * factor, w * factor, -1)


def _halved(d: int, factors: Sequence[int]) -> list[int]:
    """Return the number of features between each convolution and the next."""
    return [max(1, d // 2)] * (len(factors) - 1)


def _prime_factors(stride: int) -> list[int]:
    """Return the prime factors in ascending order; [1] for 1, so that one convolution remains."""
    factors, rest, factor = [], stride, 2
    while rest > 1:
        while rest % factor == 0:
            factors.append(factor)
            rest //= factor
        factor += 1
    return factors or [1]

"""Initial weights, without a compilation for each shape.

JAX compiles a random function anew for every shape. Each compilation takes a tenth of a second or
more, and a network has dozens of shapes. Bit n of a key's random numbers depends only on the key
and on n. The numbers of any shape are therefore the first numbers of a longer vector. A few vector
lengths serve all shapes, and the numbers are the same bit for bit. NumPy does the rest of the work.

`linear`, `conv`, `embed` and `layer_norm` make Flax layers that start from these weights.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from pixelprior.nn.products import dot_general

Draw = Callable[[Array, tuple[int, ...]], Array]

FEWEST, GROWTH = 65_536, 16
"""Lengths of the vectors of random numbers: ``FEWEST`` times a power of ``GROWTH``."""

TRUNCATED_STDDEV = 0.87962566103423978
"""Standard deviation of a standard normal distribution, truncated to [-2, 2]."""


def on_host(x: Any) -> Any:
    """Convert an array to NumPy, whose operations compile nothing; return a traced one as it is."""
    return x if isinstance(x, jax.core.Tracer) else np.asarray(x)


def random_values(draw: Draw, key: Array, shape: Sequence[int]) -> Any:
    """Return ``draw(key, shape)``, as a NumPy array unless it is traced.

    Args:
        draw: function that makes each number from its own random bits, as those of `jax.random` do.
        key: typed JAX key.
        shape: shape of the result.
    """
    shape = tuple(shape)
    if (
        isinstance(key, jax.core.Tracer)
        # Without this option and this generator, the first numbers of a longer vector differ.
        or not jax.config.jax_threefry_partitionable  # type: ignore[attr-defined]
        or str(jax.random.key_impl(key)) != "threefry2x32"
    ):
        return on_host(draw(key, shape))
    size, length = math.prod(shape), FEWEST
    while length < size:
        length *= GROWTH
    return np.asarray(draw(key, (length,)))[:size].reshape(shape)


def normal(key: Array, shape: Sequence[int]) -> Any:
    """Draw standard normal numbers."""
    return random_values(jax.random.normal, key, shape)


def _truncated_normal(key: Array, shape: tuple[int, ...]) -> Array:
    return jax.random.truncated_normal(key, -2.0, 2.0, shape, jnp.float32)


def uniform(key: Array, shape: Sequence[int], *, bound: float) -> Float[Array, "..."]:
    """Draw uniform numbers between ``-bound`` and ``bound``."""
    draw = functools.partial(jax.random.uniform, minval=-bound, maxval=bound)
    return jnp.asarray(random_values(draw, key, shape), jnp.float32)


def fan_in(scale: float = 1.0) -> Callable[..., Float[Array, "..."]]:
    """Make an initialiser of truncated normal weights with the variance ``scale / fan_in``.

    The last axis of a weight is the features out. The fan-in is the product of all other axes: the
    number of inputs that each output sums up.
    """

    def initialize(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        stddev = np.sqrt(np.float32(scale / math.prod(shape[:-1])))
        stddev = stddev / np.float32(TRUNCATED_STDDEV)
        return jnp.asarray(random_values(_truncated_normal, key, shape) * stddev, dtype)

    return initialize


def kernel(*shape: int, rngs: nnx.Rngs) -> nnx.Param:
    """Make a new kernel with the weights of `fan_in`."""
    return nnx.Param(fan_in()(rngs.params(), shape))


def embedding_init(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
    """Draw normal vectors with an average length of one: the default of `nnx.Embed`."""
    rows, features = shape
    # This expression rounds as JAX does.
    variance = np.float32(1.0 / (rows * (rows * features / rows / rows)))
    return jnp.asarray(normal(key, shape) * np.sqrt(variance), dtype)


def zeros(*shape: int) -> Float[Array, "..."]:
    """Make an array of zeros in float32."""
    return jnp.asarray(np.zeros(shape), jnp.float32)


def small_biases(*shape: int) -> Float[Array, "..."]:
    """Make biases of 0.1, for values that a ReLU receives.

    A ReLU has no gradient at and below zero. A value that depends on nothing but a bias would never
    change if the bias started there.
    """
    return jnp.asarray(np.full(shape, 0.1), jnp.float32)


def _filled(value: float) -> Callable[..., Float[Array, "..."]]:
    def initialize(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        del key
        return jnp.asarray(np.full(shape, value, np.float32), dtype)

    return initialize


linear = functools.partial(
    nnx.Linear, kernel_init=fan_in(), bias_init=_filled(0.0), dot_general=dot_general
)
conv = functools.partial(nnx.Conv, kernel_init=fan_in(), bias_init=_filled(0.0))
embed = functools.partial(nnx.Embed, embedding_init=embedding_init)
layer_norm = functools.partial(nnx.LayerNorm, bias_init=_filled(0.0), scale_init=_filled(1.0))


def stack(arrays: Sequence[Array]) -> Array:
    """Stack arrays along a new leading axis."""
    if any(isinstance(array, jax.core.Tracer) for array in arrays):
        return jnp.stack(arrays)
    # The explicit type avoids a compilation for each shape.
    return jnp.asarray(np.stack([np.asarray(array) for array in arrays]), arrays[0].dtype)

"""Initial weights, without a compilation for each of their shapes.

JAX compiles a random function anew for every shape, which takes a tenth of a second and more each
time: a network has dozens of shapes. Bit n of a key's random numbers is a function of the key and n
alone, so the numbers of any shape are the first ones of a longer vector. A few lengths serve all
shapes, and the numbers are the same bit for bit. Everything else is done by NumPy.

`linear`, `conv`, `embed` and `layer_norm` make layers of Flax that start from these weights.
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

Draw = Callable[[Array, tuple[int, ...]], Array]

FEWEST, GROWTH = 65_536, 16
"""Vectors of random numbers are as long as ``FEWEST`` times a power of ``GROWTH``."""

TRUNCATED_STDDEV = 0.87962566103423978
"""The standard deviation of a standard normal between -2 and 2."""


def on_host(x: Any) -> Any:
    """The array as one of NumPy, whose operations compile nothing; a traced one as it is."""
    return x if isinstance(x, jax.core.Tracer) else np.asarray(x)


def random_values(draw: Draw, key: Array, shape: Sequence[int]) -> Any:
    """``draw(key, shape)``, by NumPy where nothing is traced.

    Args:
        draw: makes each number from its own random bits, as functions of `jax.random` do.
        key: a typed JAX key.
        shape: of the result.
    """
    shape = tuple(shape)
    if (
        isinstance(key, jax.core.Tracer)
        # Without these the first numbers of a longer vector are other ones.
        or not jax.config.jax_threefry_partitionable  # type: ignore[attr-defined]
        or str(jax.random.key_impl(key)) != "threefry2x32"
    ):
        return on_host(draw(key, shape))
    size, length = math.prod(shape), FEWEST
    while length < size:
        length *= GROWTH
    return np.asarray(draw(key, (length,)))[:size].reshape(shape)


def normal(key: Array, shape: Sequence[int]) -> Any:
    """Standard normal numbers."""
    return random_values(jax.random.normal, key, shape)


def _truncated_normal(key: Array, shape: tuple[int, ...]) -> Array:
    return jax.random.truncated_normal(key, -2.0, 2.0, shape, jnp.float32)


def uniform(key: Array, shape: Sequence[int], *, bound: float) -> Float[Array, "..."]:
    """Numbers between ``-bound`` and ``bound``."""
    draw = functools.partial(jax.random.uniform, minval=-bound, maxval=bound)
    return jnp.asarray(random_values(draw, key, shape), jnp.float32)


def fan_in(scale: float = 1.0) -> Callable[..., Float[Array, "..."]]:
    """Truncated normal weights with a variance of ``scale`` over the numbers that each sums up.

    The last axis of a weight is that of the features out.
    """

    def initialize(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        stddev = np.sqrt(np.float32(scale / math.prod(shape[:-1])))
        stddev = stddev / np.float32(TRUNCATED_STDDEV)
        return jnp.asarray(random_values(_truncated_normal, key, shape) * stddev, dtype)

    return initialize


def kernel(*shape: int, rngs: nnx.Rngs) -> nnx.Param:
    """A fresh kernel, see `fan_in`."""
    return nnx.Param(fan_in()(rngs.params(), shape))


def embedding_init(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
    """Normal vectors of a length of one, on average: the default of `nnx.Embed`."""
    rows, features = shape
    # Rounded as JAX rounds it.
    variance = np.float32(1.0 / (rows * (rows * features / rows / rows)))
    return jnp.asarray(normal(key, shape) * np.sqrt(variance), dtype)


def zeros(*shape: int) -> Float[Array, "..."]:
    """Zeros, in float32."""
    return jnp.asarray(np.zeros(shape), jnp.float32)


def _filled(value: float) -> Callable[..., Float[Array, "..."]]:
    def initialize(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        del key
        return jnp.asarray(np.full(shape, value, np.float32), dtype)

    return initialize


linear = functools.partial(nnx.Linear, kernel_init=fan_in(), bias_init=_filled(0.0))
conv = functools.partial(nnx.Conv, kernel_init=fan_in(), bias_init=_filled(0.0))
embed = functools.partial(nnx.Embed, embedding_init=embedding_init)
layer_norm = functools.partial(nnx.LayerNorm, bias_init=_filled(0.0), scale_init=_filled(1.0))


def stack(arrays: Sequence[Array]) -> Array:
    """The arrays, along a new leading axis."""
    if any(isinstance(array, jax.core.Tracer) for array in arrays):
        return jnp.stack(arrays)
    # With a type, since JAX compiles for a shape otherwise.
    return jnp.asarray(np.stack([np.asarray(array) for array in arrays]), arrays[0].dtype)

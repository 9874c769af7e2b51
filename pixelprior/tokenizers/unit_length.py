"""Vectors scaled to length 1.

Legend: n any leading axes, d features.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def unit_length(x: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
    """Scale vectors to length 1. A zero vector stays zero, and its gradient is finite."""
    # The largest entry is divided out first, so that no square overflows or vanishes. It is
    # treated as a constant, since the result does not depend on it.
    peak = lax.stop_gradient(jnp.abs(x).max(axis=-1, keepdims=True))
    is_zero = peak < jnp.finfo(jnp.float32).tiny
    scaled = x / jnp.where(is_zero, 1.0, peak)
    squared = jnp.where(is_zero, 1.0, (scaled**2).sum(axis=-1, keepdims=True))
    return scaled * lax.rsqrt(squared)

"""Every random draw comes from a seed and the name of what it is for."""

import zlib

import jax
from jaxtyping import Array


def named_key(seed: int, purpose: str) -> Array:
    """A typed key for one purpose: two purposes never share their randomness."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(purpose.encode()))

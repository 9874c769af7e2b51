"""Random keys from a seed and the name of a purpose."""

import zlib

import jax
from jaxtyping import Array


def named_key(seed: int, purpose: str) -> Array:
    """Make a typed key for one purpose. Different purposes have independent keys."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(purpose.encode()))

"""Rotary position embeddings in two dimensions.

Queries and keys are rotated by angles that are proportional to their row and column. Their product
then depends on positions only through the difference (Su et al. 2021, RoFormer, section 3.2). Half
of the angles follow the row, and half follow the column.

Legend: n heads, f features of a head.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

LONGEST = 64.0
"""Ratio of the slowest rotation to the fastest one, which is one radian per pixel."""


class Rotations(NamedTuple):
    """Cosines, then sines, of the angles of queries and of keys."""

    query: Float[Array, "*b f"]
    key: Float[Array, "*b f"]


def rotation(
    rows: Int[Array, "*b"], columns: Int[Array, "*b"], features: int
) -> Float[Array, "*b features"]:
    """Compute the cosines, then the sines, for heads of ``features`` features, a multiple of 4."""
    speeds = LONGEST ** -jnp.linspace(0.0, 1.0, features // 4)
    angles = jnp.concatenate([rows[..., None] * speeds, columns[..., None] * speeds], axis=-1)
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)


def rotate(x: Float[Array, "*b n f"], by: Float[Array, "*b f"]) -> Float[Array, "*b n f"]:
    """Rotate the vectors of all heads: the first half of the features against the second half."""
    cos, sin = jnp.split(by[..., None, :].astype(x.dtype), 2, axis=-1)
    first, second = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)

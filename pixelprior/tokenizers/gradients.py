"""Gradients through quantizing: the value is a code, and the gradient reaches the encoder's vector.

Legend: n any leading axes, d features of a vector and of its code.

References:
    van den Oord, Vinyals and Kavukcuoglu 2017, "Neural Discrete Representation Learning", section
    3.2: straight through.
    Fifty et al. 2024, "Restructuring Vector Quantization with the Rotation Trick", section 4.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float

from pixelprior.tokenizers.unit_length import unit_length

SHORTEST = 1e-6
"""Length of a vector, relative to its code, below which `rotation` goes straight through."""


def straight_through(z: Float[Array, "*n d"], codes: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
    """Return ``codes``, with the gradient of ``z``.

    The values are exactly those of ``codes``. The usual ``z + stop_gradient(codes - z)`` has a
    rounding error. Decoding an image and decoding its codes would then differ slightly.
    """
    return stop_gradient(codes) + (z - stop_gradient(z))


def rotation(z: Float[Array, "*n d"], codes: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
    """Return ``codes``, with the gradient of ``z`` through the rotation and scaling to its code.

    Rotating z by a matrix R and scaling it gives the code: ``code = |code| / |z| R z``. The
    gradient treats R and the scale as constants, so the Jacobian is ``|code| / |z| R``. The angle
    between z and its gradient is then the angle between the code and its gradient. The directions
    of z and the code are ``a`` and ``b``, and ``m`` is the direction of ``a + b``:

        R = I - 2 m m^T + 2 b a^T

    The sum of opposite directions is zero. Then ``m = 0``, and R is a reflection. A zero code stops
    the gradient, since the scale is zero. As z goes to zero, the scale has no bound. A vector that
    is shorter than ``SHORTEST`` times its code has the gradient of `straight_through` instead.

    The values are exactly those of ``codes``.
    """
    fixed = stop_gradient(z)
    a, b = unit_length(fixed), unit_length(stop_gradient(codes))
    middle = unit_length(a + b)

    def along(direction: Float[Array, "*n d"], x: Float[Array, "*n d"]) -> Float[Array, "*n 1"]:
        return (x * direction).sum(axis=-1, keepdims=True)

    # Lengths without squares of the vectors, which could overflow.
    length, code_length = along(a, fixed), along(b, stop_gradient(codes))
    turns = length > SHORTEST * code_length
    scale = code_length / jnp.where(turns, length, 1.0)
    rotated = scale * (z - 2.0 * along(middle, z) * middle + 2.0 * along(a, z) * b)
    return straight_through(jnp.where(turns, rotated, z), codes)


GRADIENTS: dict[
    str, Callable[[Float[Array, "*n d"], Float[Array, "*n d"]], Float[Array, "*n d"]]
] = {"straight_through": straight_through, "rotation": rotation}

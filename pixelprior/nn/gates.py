"""Gated activations (van den Oord et al. 2016b, equation 2)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def gated_activation(x: Float[Array, "*n 2*d"]) -> Float[Array, "*n d"]:
    """``tanh(first half) * sigmoid(second half)`` of the features."""
    value, gate = jnp.split(x, 2, axis=-1)
    return jnp.tanh(value) * jax.nn.sigmoid(gate)

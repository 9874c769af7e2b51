"""Gated activations (van den Oord et al. 2016b, equation 2), and the versions of PixelCNN++."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def gated_activation(x: Float[Array, "*n 2*d"]) -> Float[Array, "*n d"]:
    """Return ``tanh(first half) * sigmoid(second half)`` of the features."""
    value, gate = jnp.split(x, 2, axis=-1)
    return jnp.tanh(value) * jax.nn.sigmoid(gate)


def gated_residual(x: Float[Array, "*n d"], y: Float[Array, "*n 2*d"]) -> Float[Array, "*n d"]:
    """Return ``x`` plus the first half of ``y``, gated by the sigmoid of the second half.

    The gate has no tanh, so that a block can add any value (Salimans et al. 2017, section 2.3).
    """
    value, gate = jnp.split(y, 2, axis=-1)
    return x + value * jax.nn.sigmoid(gate)


def concat_elu(x: Float[Array, "*n d"]) -> Float[Array, "*n 2*d"]:
    """Concatenate the ``elu`` of the features and of their negatives.

    Each elu passes the values that the other one cuts off. Every unit therefore always has a
    gradient. This is the activation of Salimans et al. 2017, from their published code.
    """
    # Only one of a number and its negative needs the exponential, which is most of the work.
    positive = x > 0
    low = jnp.expm1(jnp.where(positive, -x, x))
    return jnp.concatenate([jnp.where(positive, x, low), jnp.where(positive, low, -x)], axis=-1)

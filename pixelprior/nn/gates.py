"""Gated activations (van den Oord et al. 2016b, equation 2), and what PixelCNN++ made of them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def gated_activation(x: Float[Array, "*n 2*d"]) -> Float[Array, "*n d"]:
    """``tanh(first half) * sigmoid(second half)`` of the features."""
    value, gate = jnp.split(x, 2, axis=-1)
    return jnp.tanh(value) * jax.nn.sigmoid(gate)


def gated_residual(x: Float[Array, "*n d"], y: Float[Array, "*n 2*d"]) -> Float[Array, "*n d"]:
    """``x`` and, added to it, the first half of ``y`` as far as the second lets it through.

    Salimans et al. 2017, section 2.3: a gate without the tanh, so that a block can add anything.
    """
    value, gate = jnp.split(y, 2, axis=-1)
    return x + value * jax.nn.sigmoid(gate)


def concat_elu(x: Float[Array, "*n d"]) -> Float[Array, "*n 2*d"]:
    """``elu`` of the features and of their negatives, side by side.

    What the one cuts off the other lets through, so no unit is ever without a gradient. The
    activation of Salimans et al. 2017, from their published code.
    """
    # Of a number and its negative only one needs the exponential, which is most of the work.
    positive = x > 0
    low = jnp.expm1(jnp.where(positive, -x, x))
    return jnp.concatenate([jnp.where(positive, x, low), jnp.where(positive, low, -x)], axis=-1)

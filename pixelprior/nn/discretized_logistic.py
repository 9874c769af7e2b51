"""Probability mass that a discretised logistic distribution gives to each symbol.

Legend: n any leading axes.

The values of a symbol are spread evenly over [-1, 1]. Value s has the mass between s - 1/2 and
s + 1/2. The lowest and the highest value also have all mass beyond them. The result is exactly a
distribution over the values. Reference: Salimans et al. 2017 (PixelCNN++), section 2.1.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def brightness(symbols: Int[Array, "*n"], levels: int) -> Float[Array, "*n"]:
    """Scale symbols to numbers in [-1, 1]."""
    half = 0.5 * (levels - 1)
    return (symbols - half) / half


def log_mass(
    symbols: Int[Array, "*#n"],
    mean: Float[Array, "*#n"],
    log_scale: Float[Array, "*#n"],
    levels: int,
) -> Float[Array, "*n"]:
    """Return the log-probability of each symbol, in nats.

    Args:
        symbols: symbols in ``[0, levels)``.
        mean: mean of the logistic, in units in which symbols run from -1 to 1.
        log_scale: log of the logistic's scale, in the same units.
        levels: number of values per symbol.
    """
    # Here a unit is one step between symbols, counted from the middle one. In this unit, float32
    # holds the edges between symbols exactly. Two neighbours agree on the edge between them to the
    # last bit, and their masses add up to 1.
    half = 0.5 * (levels - 1)
    inverse = jnp.exp(-log_scale) / half
    above = inverse * ((symbols - half + 0.5) - mean * half)
    below = inverse * ((symbols - half - 0.5) - mean * half)
    # The result is log(sigmoid(above) - sigmoid(below)). Far from the mean this difference would
    # round to zero. The code uses sigmoid(a) - sigmoid(b)
    # = sigmoid(a) * sigmoid(-b) * (1 - exp(b - a)), where a - b is one step divided by the scale.
    highest, lowest = symbols == levels - 1, symbols == 0
    return (
        jnp.where(highest, 0.0, jax.nn.log_sigmoid(above))
        + jnp.where(lowest, 0.0, jax.nn.log_sigmoid(-below))
        + jnp.where(highest | lowest, 0.0, jnp.log(-jnp.expm1(-inverse)))
    )

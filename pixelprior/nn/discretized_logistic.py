"""The mass that a logistic distribution gives to each level of brightness.

Legend: n any leading axes.

Levels lie evenly on [-1, 1]. Level s has the mass between s - 1/2 and s + 1/2; the lowest and the
highest also have all that lies beyond them. So it is a distribution over levels, exactly. Salimans
et al. 2017 (PixelCNN++), section 2.1.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def brightness(symbols: Int[Array, "*n"], levels: int) -> Float[Array, "*n"]:
    """Symbols as numbers in [-1, 1]."""
    half = 0.5 * (levels - 1)
    return (symbols - half) / half


def log_mass(
    symbols: Int[Array, "*#n"],
    mean: Float[Array, "*#n"],
    log_scale: Float[Array, "*#n"],
    levels: int,
) -> Float[Array, "*n"]:
    """The log-probability of each symbol, in nats.

    Args:
        symbols: in ``[0, levels)``.
        mean: of the logistic, in units in which levels run from -1 to 1.
        log_scale: of the logistic, in the same units.
        levels: how many there are.
    """
    # In units of levels, counted from the middle one, the edges between levels are numbers that
    # float32 holds exactly: two neighbours agree on the edge between them to the last bit, and
    # their masses add up.
    half = 0.5 * (levels - 1)
    inverse = jnp.exp(-log_scale) / half
    above = inverse * ((symbols - half + 0.5) - mean * half)
    below = inverse * ((symbols - half - 0.5) - mean * half)
    # log(sigmoid(above) - sigmoid(below)), without ever taking that difference, which rounds to
    # zero far from the mean: sigmoid(a) - sigmoid(b)
    # = sigmoid(a) * sigmoid(-b) * (1 - exp(b - a)), and a - b is one level over the scale.
    highest, lowest = symbols == levels - 1, symbols == 0
    return (
        jnp.where(highest, 0.0, jax.nn.log_sigmoid(above))
        + jnp.where(lowest, 0.0, jax.nn.log_sigmoid(-below))
        + jnp.where(highest | lowest, 0.0, jnp.log(-jnp.expm1(-inverse)))
    )

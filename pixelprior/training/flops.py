"""Count the arithmetic of a function: its products, including those in loops."""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend import core

from pixelprior.training.jaxprs import operations

CONVOLUTION = "conv_general_dilated"
"""Name of the convolution among the operations of JAX."""


def product_flops(function: Callable[..., Any], *arguments: Any) -> int:
    """Count the operations of a call's matrix products and convolutions, two per multiply-add.

    The count follows the traced program and its shapes. The body of a `lax.scan` counts as often as
    it runs. XLA's own cost analysis counts it once.
    """
    traced = jax.make_jaxpr(function)(*arguments).jaxpr
    return sum(times * operation_flops(equation) for equation, times in operations(traced))


def operation_flops(equation: core.JaxprEqn) -> int:
    """Count the operations of a matrix product or convolution; 0 for anything else."""
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        left, result = _shape(equation.invars[0]), _shape(equation.outvars[0])
        return 2 * math.prod(result) * math.prod(left[axis] for axis in contracted)
    if equation.primitive.name == CONVOLUTION:
        kernel, result = _shape(equation.invars[1]), _shape(equation.outvars[0])
        # Each output number takes as many products as its kernel has taps. Products with
        # padding, or with the gaps of a dilated input, are counted too.
        numbers = equation.params["dimension_numbers"]
        taps = math.prod(kernel) // kernel[numbers.rhs_spec[0]]
        return 2 * math.prod(result) * taps
    return 0


def _shape(variable: Any) -> tuple[int, ...]:
    return variable.aval.shape

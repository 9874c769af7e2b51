"""Count the arithmetic of a function: its products, including those in loops."""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend import core


def product_flops(function: Callable[..., Any], *arguments: Any) -> int:
    """Count the operations of a call's matrix products and convolutions, two per multiply-add.

    The count follows the traced program and its shapes. The body of a `lax.scan` counts as often as
    it runs. XLA's own cost analysis counts it once.
    """
    return _count(jax.make_jaxpr(function)(*arguments).jaxpr)


def _count(jaxpr: core.Jaxpr) -> int:
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left, result = _shape(equation.invars[0]), _shape(equation.outvars[0])
            total += 2 * math.prod(result) * math.prod(left[axis] for axis in contracted)
        if equation.primitive.name == "conv_general_dilated":
            kernel, result = _shape(equation.invars[1]), _shape(equation.outvars[0])
            # Each output number takes as many products as its kernel has taps. Products with
            # padding, or with the gaps of a dilated input, are counted too.
            numbers = equation.params["dimension_numbers"]
            taps = math.prod(kernel) // kernel[numbers.rhs_spec[0]]
            total += 2 * math.prod(result) * taps
        times = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        for inner in jax.tree.leaves(
            list(equation.params.values()),
            is_leaf=lambda leaf: isinstance(leaf, core.Jaxpr | core.ClosedJaxpr),
        ):
            if isinstance(inner, core.ClosedJaxpr):
                inner = inner.jaxpr
            if isinstance(inner, core.Jaxpr):
                total += times * _count(inner)
    return total


def _shape(variable: Any) -> tuple[int, ...]:
    return variable.aval.shape

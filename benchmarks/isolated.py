"""Time of the matrix products and convolutions of a function, each compiled and run alone."""

import functools
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

from benchmarks.machine import best_time
from pixelprior.training.flops import operation_flops
from pixelprior.training.jaxprs import operations


class Product(NamedTuple):
    """A matrix product or convolution: its shapes, its calls, and the cost of one call."""

    shapes: str
    calls: int
    flops: int
    seconds: float


def isolated_products(function: Callable[..., Any], *arguments: Any) -> list[Product]:
    """Time all products of a function alone, those with the longest total time first."""
    calls: Counter[str] = Counter()
    found: dict[str, core.JaxprEqn] = {}
    for equation, times in operations(jax.make_jaxpr(function)(*arguments).jaxpr):
        if operation_flops(equation):
            name = f"{equation.params} {[value.aval for value in equation.invars]}"
            calls[name] += times
            found[name] = equation
    products = [
        Product(_shapes(one), calls[name], operation_flops(one), _seconds(one))
        for name, one in found.items()
    ]
    return sorted(products, key=lambda product: -product.calls * product.seconds)


def _seconds(equation: core.JaxprEqn) -> float:
    run = jax.jit(functools.partial(equation.primitive.bind, **equation.params))
    inputs = [
        jax.random.normal(jax.random.key(number), _size(value), jnp.float32)
        for number, value in enumerate(equation.invars)
    ]
    jax.block_until_ready(run(*inputs))
    return best_time(lambda: run(*inputs), 20)


def _shapes(equation: core.JaxprEqn) -> str:
    left, right, result = (
        "x".join(map(str, _size(value))) for value in (*equation.invars, *equation.outvars)
    )
    return f"{left} * {right} -> {result}"


def _size(value: Any) -> tuple[int, ...]:
    return value.aval.shape

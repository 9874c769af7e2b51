"""Rates of matrix products by type and precision."""

import functools

import jax
import jax.numpy as jnp

from benchmarks.accelerator_parts.size import Size
from benchmarks.machine import best_time

ROWS = (
    ("float32", jnp.float32, "highest"),
    ("TF32", jnp.float32, "tensorfloat32"),
    ("bfloat16", jnp.bfloat16, "default"),
)


def products(size: Size) -> None:
    """Print the rate of a square matrix product for each type."""
    n = size.product
    print(f"product {n}^3   TFLOP/s")
    for name, dtype, precision in ROWS:
        a = jax.random.normal(jax.random.key(0), (n, n), dtype)
        run = functools.partial(jax.jit(functools.partial(jnp.matmul, precision=precision)), a, a)
        jax.block_until_ready(run())
        print(f"{name:<12} {2 * n**3 / best_time(run, 5) / 1e12:>9.2f}", flush=True)

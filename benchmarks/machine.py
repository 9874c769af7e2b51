"""Speed reference of every table: the current rate of matrix products on this machine."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from pixelprior.system.timing import timed

SIZE = 2048


def best_time(function: Callable[[], Any], repetitions: int) -> float:
    """Shortest time of several calls, in seconds. The function must already be compiled."""
    return min((timed(function)[1] for _ in range(repetitions)), default=float("inf"))


def matrix_product_rate(repetitions: int = 5) -> float:
    """Floating-point operations per second of a 2048^3 float32 matrix product."""
    key_a, key_b = jax.random.split(jax.random.key(0))
    a = jax.random.normal(key_a, (SIZE, SIZE))
    b = jax.random.normal(key_b, (SIZE, SIZE))
    product = jax.jit(jnp.matmul)
    jax.block_until_ready(product(a, b))
    return 2 * SIZE**3 / best_time(lambda: product(a, b), repetitions)

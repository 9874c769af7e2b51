"""Compute a batch's gradient in parts: the same gradient with less memory.

Legend: b batch, n parts.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from pixelprior.training.task import Loss


def in_parts(
    gradient_of: Callable[[Any, Array], tuple[Any, Loss]], batch: Any, key: Array, number: int
) -> tuple[Any, Loss]:
    """Compute the gradient and the loss of a batch, one part after the other.

    Losses are means over a batch, so the loss of a batch is the mean over its parts. Each part has
    its own random draws.

    Args:
        gradient_of: function of a batch and a key that returns the gradient and the loss.
        batch: arrays ``[b, ...]``.
        key: a typed key.
        number: number of parts; it divides the batch on every device.

    Returns:
        The gradient, and the loss with its statistics stacked: ``[n, ...]``, one for each part.
    """
    if number == 1:
        gradient, loss = gradient_of(batch, key)
        return gradient, loss._replace(statistics=jax.tree.map(lambda x: x[None], loss.statistics))

    def add(total: Any, inputs: Any) -> tuple[Any, Any]:
        part, n = inputs
        gradient, loss = gradient_of(part, jax.random.fold_in(key, n))
        now = gradient, loss._replace(statistics=None)
        return jax.tree.map(jnp.add, total, now), loss.statistics

    parts = jax.tree.map(lambda x: _split(x, number), batch)
    gradient, loss = jax.eval_shape(gradient_of, jax.tree.map(lambda x: x[0], parts), key)
    nothing = jax.tree.map(
        lambda x: jnp.zeros(x.shape, x.dtype), (gradient, loss._replace(statistics=None))
    )
    total, statistics = jax.lax.scan(add, nothing, (parts, jnp.arange(number)))
    gradient, loss = jax.tree.map(lambda x: x / number, total)
    return gradient, loss._replace(statistics=statistics)


def _split(x: Shaped[Array, "b ..."], number: int) -> Shaped[Array, "n b/n ..."]:
    """Split arrays so that each part has its share of every device's images, and none moves."""
    return jnp.moveaxis(x.reshape(-1, number, *x.shape[1:]), 1, 0)

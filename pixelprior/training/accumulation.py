"""A batch's gradient, computed in parts: the same gradient with less memory.

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
    """The gradient and the loss of a batch, computed one part after the other.

    Losses are means over a batch, so those of the batch are the means over its parts. Each part
    draws for itself.

    Args:
        gradient_of: from a batch and a key to the gradient and the loss.
        batch: arrays ``[b, ...]``.
        key: a typed key.
        number: of parts; divides the batch on every device.

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
    """In parts that have their share of every device's images, so that none has to move."""
    return jnp.moveaxis(x.reshape(-1, number, *x.shape[1:]), 1, 0)

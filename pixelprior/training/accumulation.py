"""Compute a batch's gradient in parts: the same gradient with less memory.

Legend: b batch, n parts.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, Shaped

from pixelprior.training.flops import CONVOLUTION
from pixelprior.training.jaxprs import operations
from pixelprior.training.task import Loss


def in_parts(
    gradient_of: Callable[[Any, Array], tuple[Any, Loss]],
    batch: Any,
    keys: Key[Array, " b"],
    number: int,
) -> tuple[Any, Loss]:
    """Compute the gradient and the loss of a batch, one part after the other.

    Losses are means over a batch, so the loss of a batch is the mean over its parts. Random draws
    of an image depend on its own key alone. They are therefore those of the whole batch.

    Args:
        gradient_of: function of a batch and its keys that returns the gradient and the loss.
        batch: arrays ``[b, ...]``.
        keys: a typed key for each image.
        number: number of parts; it divides the batch on every device.

    Returns:
        The gradient, and the loss with its statistics stacked: ``[n, ...]``, one for each part. Its
        counts are sums over the parts.
    """
    if number == 1:
        gradient, loss = gradient_of(batch, keys)
        return gradient, loss._replace(statistics=jax.tree.map(lambda x: x[None], loss.statistics))

    def add(total: Any, part: Any) -> tuple[Any, Any]:
        gradient, loss = gradient_of(*part)
        now = gradient, loss._replace(statistics=None)
        return jax.tree.map(jnp.add, total, now), loss.statistics

    parts = jax.tree.map(lambda x: _split(x, number), (batch, keys))
    first = jax.tree.map(lambda x: x[0], parts)
    traced, (gradient, loss) = jax.make_jaxpr(gradient_of, return_shape=True)(*first)
    nothing = jax.tree.map(
        lambda x: jnp.zeros(x.shape, x.dtype), (gradient, loss._replace(statistics=None))
    )
    # On CPUs, XLA has no fast implementation of a convolution inside a loop.
    convolves = any(o.primitive.name == CONVOLUTION for o, _ in operations(traced.jaxpr))
    unroll = convolves and jax.default_backend() == "cpu"
    total, statistics = jax.lax.scan(add, nothing, parts, unroll=unroll)
    gradient, loss = jax.tree.map(lambda x: x / number, total)
    return gradient, loss._replace(statistics=statistics, counts=total[1].counts)


def _split(x: Shaped[Array, "b ..."], number: int) -> Shaped[Array, "n b/n ..."]:
    """Split arrays so that each part has its share of every device's images, and none moves."""
    return jnp.moveaxis(x.reshape(-1, number, *x.shape[1:]), 1, 0)

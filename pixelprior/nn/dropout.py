"""Dropout of features, with one key for each image.

Legend: b batch.

An image's dropout depends on its own key alone, not on the images beside it. A part of a batch
therefore drops the same features as the whole batch.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key


class Dropout(nnx.Module):
    """Set a share ``rate`` of the features to zero in training, and scale the others up."""

    def __init__(self, rate: float):
        self.rate = rate

    def __call__(
        self, x: Float[Array, "..."], keys: Key[Array, " b"] | None, *, axis: int = 0
    ) -> Float[Array, "..."]:
        """Return the features of which some are dropped; all of them without keys.

        Args:
            x: features, with the batch as axis ``axis``.
            keys: a key for each image; None for no dropout.
            axis: the axis of the batch.
        """
        if keys is None or not self.rate:
            return x
        share, shape = 1.0 - self.rate, x.shape[:axis] + x.shape[axis + 1 :]

        def draw(key: Key[Array, ""]) -> Array:
            return jax.random.bernoulli(key, share, shape)

        kept = jax.vmap(draw, out_axes=axis)(keys)
        return jnp.where(kept, x / share, jnp.zeros((), x.dtype))

"""Encoder of a context as one array of features that broadcasts over the grid.

Legend: b batch, h height, w width, k numbers of a vector, m features of the context map, d features
out.
"""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pixelprior.context import Context, ContextShape
from pixelprior.nn.initializers import embed, linear
from pixelprior.turns import count_turns


class ContextEncoder(nnx.Module):
    """Encode a `Context` as features ``[b, h or 1, w or 1, d]``; ``None`` without a context.

    A class and a vector without a map stay one vector per grid, which costs almost nothing. Without
    a condition, the class has a row of its own, and a learned vector replaces the encoded vector.
    An upright grid adds zeros, and each other turn a learned vector.
    """

    def __init__(self, shape: ContextShape, d: int, *, rngs: nnx.Rngs):
        self.shape = shape
        rows = shape.num_classes + shape.null_class
        self.label = embed(rows, d, rngs=rngs) if shape.num_classes else None
        self.map = linear(shape.map_features, d, rngs=rngs) if shape.map_features else None
        k, null = shape.vector_features, shape.vector_features and shape.null_class
        self.vector = linear(k, d, rngs=rngs) if k else None
        self.null_vector = embed(1, d, rngs=rngs) if null else None
        self.turn = embed(count_turns(shape.grid) - 1, d, rngs=rngs) if shape.turns else None

    def __call__(self, context: Context | None, batch: int) -> Float[Array, "b #h #w d"] | None:
        """Encode the context of ``batch`` grids.

        Raises:
            InputError: if the context does not fit ``shape``.
        """
        self.shape.check(context, batch)
        context = context or Context()
        parts = []
        if self.label is not None:
            parts.append(self._encode_label(self.label, context, batch)[:, None, None, :])
        if self.vector is not None:
            parts.append(self._encode_vector(self.vector, context, batch)[:, None, None, :])
        if self.turn is not None:
            parts.append(self._encode_turn(self.turn, context, batch)[:, None, None, :])
        if self.map is not None and context.map is not None:
            parts.append(self.map(context.map.astype(self.map.kernel.dtype)))
        return sum(parts[1:], start=parts[0]) if parts else None

    def _encode_label(self, table: nnx.Embed, context: Context, batch: int) -> Float[Array, "b d"]:
        null = self.shape.num_classes
        label = jnp.full(batch, null, jnp.int32) if context.label is None else context.label
        if context.hidden is not None:
            label = jnp.where(context.hidden, null, label)
        # `nnx.Embed` returns the dtype that it was made with, even after a cast of its weights.
        return table(label).astype(table.embedding.dtype)

    def _encode_vector(
        self, layer: nnx.Linear, context: Context, batch: int
    ) -> Float[Array, "b d"]:
        null: Any = None if self.null_vector is None else self.null_vector.embedding[...]
        if context.vector is None:
            return jnp.repeat(null, batch, axis=0)
        vectors = layer(context.vector.astype(layer.kernel.dtype))
        if context.hidden is None:
            return vectors
        return jnp.where(context.hidden[:, None], null, vectors)

    def _encode_turn(self, table: nnx.Embed, context: Context, batch: int) -> Float[Array, "b d"]:
        rows = table.embedding[...]
        if context.turn is None:
            return jnp.zeros((batch, rows.shape[-1]), rows.dtype)
        upright = context.turn[:, None] == 0
        return jnp.where(upright, 0, rows[jnp.maximum(context.turn - 1, 0)])

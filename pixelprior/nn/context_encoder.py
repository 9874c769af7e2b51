"""Encoder of a context as one array of features that broadcasts over the grid.

Legend: b batch, h height, w width, m features of the context map, d features out.
"""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pixelprior.context import Context, ContextShape
from pixelprior.nn.initializers import embed, linear


class ContextEncoder(nnx.Module):
    """Encode a `Context` as features ``[b, h or 1, w or 1, d]``; ``None`` without a context.

    A class without a map stays one vector per grid. Conditioning on it costs almost nothing.
    """

    def __init__(self, shape: ContextShape, d: int, *, rngs: nnx.Rngs):
        self.shape = shape
        rows = shape.num_classes + shape.null_class
        self.label = embed(rows, d, rngs=rngs) if shape.num_classes else None
        self.map = linear(shape.map_features, d, rngs=rngs) if shape.map_features else None

    def __call__(self, context: Context | None, batch: int) -> Float[Array, "b #h #w d"] | None:
        """Encode the context of ``batch`` grids.

        Raises:
            InputError: if the context does not fit ``shape``.
        """
        self.shape.check(context, batch)
        context = context or Context()
        parts = []
        if self.label is not None:
            label = context.label
            if label is None:
                label = jnp.full(batch, self.shape.num_classes, jnp.int32)
            # `nnx.Embed` returns the dtype that it was made with, even after a cast of its weights.
            vectors = self.label(label).astype(self.label.embedding.dtype)
            parts.append(vectors[:, None, None, :])
        if self.map is not None and context.map is not None:
            parts.append(self.map(context.map.astype(self.map.kernel.dtype)))
        return sum(parts[1:], start=parts[0]) if parts else None

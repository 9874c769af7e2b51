"""Context as one array of features that broadcasts over the grid.

Legend: b batch, h height, w width, m features of the context map, d features out.
"""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pixelprior.context import Context, ContextShape
from pixelprior.nn.initializers import embed, linear


class ContextEncoder(nnx.Module):
    """Turns a `Context` into features ``[b, h or 1, w or 1, d]``, or ``None`` for no context.

    A class alone stays one vector per grid, so that conditioning on it costs next to nothing.
    """

    def __init__(self, shape: ContextShape, d: int, *, rngs: nnx.Rngs):
        self.shape = shape
        rows = shape.num_classes + shape.null_class
        self.label = embed(rows, d, rngs=rngs) if shape.num_classes else None
        self.map = linear(shape.map_features, d, rngs=rngs) if shape.map_features else None

    def __call__(self, context: Context | None, batch: int) -> Float[Array, "b #h #w d"] | None:
        """Encodes the context of ``batch`` grids.

        Raises:
            InputError: if the context is not what the model was built for.
        """
        self.shape.check(context, batch)
        context = context or Context()
        parts = []
        if self.label is not None:
            label = context.label
            if label is None:
                label = jnp.full(batch, self.shape.num_classes, jnp.int32)
            # An embedding keeps the dtype that it was made in, whatever its weights are cast to.
            vectors = self.label(label).astype(self.label.embedding.dtype)
            parts.append(vectors[:, None, None, :])
        if self.map is not None and context.map is not None:
            parts.append(self.map(context.map.astype(self.map.kernel.dtype)))
        return sum(parts[1:], start=parts[0]) if parts else None

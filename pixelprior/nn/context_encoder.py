"""Context as one array of features that broadcasts over the grid.

Legend: b batch, h height, w width, m features of the context map, d features out.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.errors import InputError
from pixelprior.grid import Grid


class ContextEncoder(nnx.Module):
    """Turns a `Context` into features ``[b, h or 1, w or 1, d]``, or ``None`` for no context.

    A class alone stays one vector per grid, so that conditioning on it costs next to nothing.
    """

    def __init__(self, grid: Grid, *, num_classes: int, map_features: int, d: int, rngs: nnx.Rngs):
        self.grid = grid
        self.num_classes = num_classes
        self.map_features = map_features
        self.label = nnx.Embed(num_classes, d, rngs=rngs) if num_classes else None
        self.map = nnx.Linear(map_features, d, rngs=rngs) if map_features else None

    def __call__(self, context: Context | None, batch: int) -> Float[Array, "b #h #w d"] | None:
        """Encodes the context of ``batch`` grids.

        Raises:
            InputError: if the context is not what the model was built for.
        """
        self.check(context, batch)
        context = context or Context()
        parts = []
        if self.label is not None and context.label is not None:
            parts.append(self.label(context.label)[:, None, None, :])
        if self.map is not None and context.map is not None:
            parts.append(self.map(context.map.astype(self.map.kernel.dtype)))
        return sum(parts[1:], start=parts[0]) if parts else None

    def check(self, context: Context | None, batch: int) -> None:
        """Raises an InputError unless the context is one of ``batch`` grids of this model."""
        context = context or Context()
        label, map_ = context.label, context.map
        if (label is None) != (self.num_classes == 0):
            raise InputError(
                f"this model is conditioned on {self.num_classes} classes, but no label was given"
                if label is None
                else "a label was given, but this model is unconditional: it was built without "
                "num_classes"
            )
        if label is not None:
            self.check_label(label, batch)
        if (map_ is None) != (self.map_features == 0):
            raise InputError(
                f"this model is conditioned on a map of {self.map_features} features, but none was "
                "given"
                if map_ is None
                else "a map was given, but this model was built without map_features"
            )
        expected = (batch, self.grid.height, self.grid.width, self.map_features)
        if map_ is not None and map_.shape != expected:
            raise InputError(f"expected a context map of shape {expected}, got {map_.shape}")

    def check_label(self, label: Int[Array, " b"], batch: int) -> None:
        """Raises an InputError unless these are classes of ``batch`` grids."""
        if label.shape != (batch,) or not jnp.issubdtype(label.dtype, jnp.integer):
            raise InputError(
                f"expected one integer label per grid, shape ({batch},), got {label.dtype} "
                f"{label.shape}"
            )
        # Inside a transformation the values are unknown; they were checked on their way in.
        if not isinstance(label, jax.core.Tracer) and batch > 0:
            values = np.asarray(label)
            low, high = int(values.min()), int(values.max())
            if low < 0 or high >= self.num_classes:
                raise InputError(f"expected labels in [0, {self.num_classes}), got {low} to {high}")

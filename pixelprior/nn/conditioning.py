"""Conditioning of a layer on an encoded context: one product, added to the layer's result.

Legend: b batch, h height, w width, c features of the context, d features out.
"""

from flax import nnx
from jaxtyping import Array, Float

from pixelprior.nn.initializers import linear

EncodedContext = Float[Array, "b #h #w c"] | None
"""Result of `ContextEncoder`; None without a context."""


def context_layer(features: int, d: int, *, rngs: nnx.Rngs) -> nnx.Linear | None:
    """Return the layer for a context of ``features`` features; None if ``features`` is 0."""
    return linear(features, d, use_bias=False, rngs=rngs) if features else None


def add_context(
    x: Float[Array, "..."], layer: nnx.Linear | None, context: EncodedContext
) -> Float[Array, "..."]:
    """Return ``x`` plus the layer's result for the context; ``x`` itself without a context."""
    return x if layer is None or context is None else x + layer(context)

"""How an encoded context enters a layer: one product, added to what the layer computes.

Legend: b batch, h height, w width, c features of the context, d features out.
"""

from flax import nnx
from jaxtyping import Array, Float

from pixelprior.nn.initializers import linear

EncodedContext = Float[Array, "b #h #w c"] | None
"""What `ContextEncoder` gives."""


def context_layer(features: int, d: int, *, rngs: nnx.Rngs) -> nnx.Linear | None:
    """The layer for a context of so many features; None for none."""
    return linear(features, d, use_bias=False, rngs=rngs) if features else None


def add_context(
    x: Float[Array, "..."], layer: nnx.Linear | None, context: EncodedContext
) -> Float[Array, "..."]:
    """``x`` and, added to it, what the layer makes of the context, if there is one."""
    return x if layer is None or context is None else x + layer(context)

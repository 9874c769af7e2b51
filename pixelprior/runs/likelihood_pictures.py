"""Where the bits of an image go: each pixel shaded by what it cost to say.

Legend: n images, h height, w width, c channels.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.figures.plots import as_colours
from pixelprior.models.base import GridModel


def pixel_bits(
    model: GridModel, symbols: Int[np.ndarray, "n h w c"], context: Context | None
) -> Float[np.ndarray, "n h w"]:
    """The bits that each pixel costs, given those before it in the model's order."""
    return np.asarray(_pixel_bits(*nnx.split(model), symbols, context))


@functools.partial(jax.jit, static_argnames="graph")
def _pixel_bits(
    graph: nnx.GraphDef, weights: Any, x: Int[Array, "n h w c"], context: Context | None
) -> Float[Array, "n h w"]:
    log_p = jax.nn.log_softmax(nnx.merge(graph, weights).logits(x, context))
    of_symbols = jnp.take_along_axis(log_p, x[..., None], axis=-1)[..., 0]
    return -of_symbols.sum(axis=-1) / jnp.log(2.0)


def shaded(bits: Float[np.ndarray, "n h w"], most: float) -> Float[np.ndarray, "n h w 3"]:
    """Bits as colours in [0, 1]: from dark for none to bright for ``most`` and more."""
    return as_colours(np.clip(bits / most, 0.0, 1.0))

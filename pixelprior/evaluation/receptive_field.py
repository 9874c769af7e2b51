"""The receptive field, measured: which earlier positions move the prediction at one position.

Legend: b batch, h height, w width, c channels, e embedding, d features, v levels.

Measured is the gradient of the logits at the position, added up with random weights, with respect
to the embedded symbols at every position: its mean absolute value. Where the network has no path
the gradient is not small but exactly zero, in any precision. Luo et al. 2016, Understanding the
Effective Receptive Field in Deep Convolutional Neural Networks, section 2, measure it likewise.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.errors import InputError
from pixelprior.models.base import AutoregressiveModel
from pixelprior.sampling import sample
from pixelprior.sampling.labels import label_context

PROJECTIONS = 4
"""How many random sums of the logits stand for all of them."""


def centre(height: int, width: int) -> tuple[int, int]:
    """The position whose receptive field is asked for by default: (row, column)."""
    return height // 2, width // 2


def receptive_field(
    model: AutoregressiveModel,
    position: tuple[int, int] | None = None,
    *,
    num_images: int = 16,
    key: Array,
    images: Int[Array, "b h w c"] | None = None,
    context: Context | None = None,
) -> Float[np.ndarray, "h w"]:
    """How strongly the symbols at every position move the logits at one.

    Args:
        model: trained or fresh.
        position: (row, column); by default the centre.
        num_images: how many images to average over, if none are given.
        key: a typed key, of the images and the projections.
        images: where to measure; by default samples of the model itself, since that is where its
            predictions matter.
        context: of the images, for a model that takes one; if none are given, all classes in turn.

    Returns:
        The mean absolute gradient for every position: 0 at the position, after it, and wherever
        else no path leads from.

    Raises:
        InputError: if the position is not on the grid, or images or context do not fit.
    """
    grid = model.grid
    row, column = centre(grid.height, grid.width) if position is None else position
    if not (0 <= row < grid.height and 0 <= column < grid.width):
        raise InputError(
            f"expected a position (row, column) on the grid of {grid.height} x {grid.width}, "
            f"got ({row}, {column})"
        )
    image_key, projection_key = jax.random.split(key)
    if context is None:
        context = label_context(model, None, num_images if images is None else len(images))
    if images is None:
        images = sample(model, image_key, num_images, context=context)
    grid.check(images)
    graph, weights = nnx.split(model)
    gradients = [
        _absolute_gradient(graph, weights, images, context, row, column, projection)
        for projection in jax.random.split(projection_key, PROJECTIONS)
    ]
    # Added up in more than the float32 of each, whose smallest are far below the largest.
    return np.mean([np.asarray(gradient, np.float64) for gradient in gradients], axis=(0, 1))


@functools.partial(jax.jit, static_argnames="graph")
def _absolute_gradient(
    graph: nnx.GraphDef,
    weights: Any,
    images: Int[Array, "b h w c"],
    context: Context | None,
    row: Int[Array, ""],
    column: Int[Array, ""],
    key: Array,
) -> Float[Array, "b h w"]:
    """The gradient's absolute value, for one random sum of logits; its mean over the embedding."""
    model = nnx.merge(graph, weights).in_dtype()
    images = images.astype(jnp.int32)
    encoded = model.context_encoder(context, images.shape[0])

    def projected(embedded: Float[Array, "b h w e"]) -> Float[Array, ""]:
        features = model.network(embedded, encoded, None)[:, row, column].astype(jnp.float32)
        pixel = images[:, row, column]
        total = jnp.zeros(())
        for channel in range(model.grid.channels):
            # The channels before it are given: at the position itself there is nothing to see.
            logits = model.head.logits(features, pixel[:, :channel])
            direction = jax.random.normal(jax.random.fold_in(key, channel), logits.shape)
            total += jnp.sum(direction * logits)
        return total

    gradient = jax.grad(projected)(model.embedding(images))
    # Not squared: in float32 the square of a small gradient would be zero, as if nothing was seen.
    return jnp.abs(gradient.astype(jnp.float32)).mean(axis=-1)

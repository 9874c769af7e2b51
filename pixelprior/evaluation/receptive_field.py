"""Measure the receptive field: the earlier positions that move the prediction at one position.

Legend: b batch, h height, w width, c channels, e embedding, d features, v values per symbol.

The logits at the position are added up with random weights. The measure is the gradient of this sum
with respect to the embedded symbols at every position: its mean absolute value. Without a path in
the network the gradient is exactly zero, in any precision. Luo et al. 2016, Understanding the
Effective Receptive Field in Deep Convolutional Neural Networks, section 2, use the same measure.
"""

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
from pixelprior.system.programs import jit_by_structure

PROJECTIONS = 4
"""Number of random sums of the logits, which stand for all logits."""


def centre(height: int, width: int) -> tuple[int, int]:
    """Return the position that is measured by default: (row, column)."""
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
    """Measure how strongly the symbols at every position move the logits at one position.

    Args:
        model: trained or fresh model.
        position: (row, column); by default the centre.
        num_images: number of images to average over, if none are given.
        key: a typed key, for the images and the projections.
        images: images to measure on; by default samples of the model, since its predictions matter
            there.
        context: condition of the images, for a conditional model; by default all classes in turn.

    Returns:
        The mean absolute gradient for every position. It is 0 at the position itself, at all later
        positions, and wherever the network has no path.

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
        _absolute_gradient(weights, images, context, row, column, projection, graph=graph)
        for projection in jax.random.split(projection_key, PROJECTIONS)
    ]
    # Averaged in float64: the smallest float32 gradients are far below the largest.
    return np.mean([np.asarray(gradient, np.float64) for gradient in gradients], axis=(0, 1))


@jit_by_structure()
def _absolute_gradient(
    weights: Any,
    images: Int[Array, "b h w c"],
    context: Context | None,
    row: Int[Array, ""],
    column: Int[Array, ""],
    key: Array,
    *,
    graph: nnx.GraphDef,
) -> Float[Array, "b h w"]:
    """Compute the absolute gradient of one random sum of logits, a mean over the embedding."""
    model = nnx.merge(graph, weights).in_dtype()
    images = images.astype(jnp.int32)
    encoded = model.context_encoder(context, images.shape[0])

    def projected(embedded: Float[Array, "b h w e"]) -> Float[Array, ""]:
        features = model.network(embedded, encoded, None)[:, row, column].astype(jnp.float32)
        pixel = images[:, row, column]
        total = jnp.zeros(())
        for channel in range(model.grid.channels):
            # The earlier channels are given, so the position itself has no gradient.
            logits = model.head.logits(features, pixel[:, :channel])
            direction = jax.random.normal(jax.random.fold_in(key, channel), logits.shape)
            total += jnp.sum(direction * logits)
        return total

    gradient = jax.grad(projected)(model.embedding(images))
    # Not squared: in float32 the square of a small gradient would be zero, as without a path.
    return jnp.abs(gradient.astype(jnp.float32)).mean(axis=-1)

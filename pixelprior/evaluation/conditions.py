"""Conditions of real images: their classes and attributes.

Legend: b images.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from pixelprior.context import Context, ContextShape
from pixelprior.data import Split


def conditions_of(
    shape: ContextShape, split: Split, numbers: Int[np.ndarray, " b"]
) -> Context | None:
    """Return the conditions of images of a split, as a model takes them.

    Args:
        shape: the kinds of context that the model takes.
        split: the images.
        numbers: the numbers of the images. After the last image, the first one follows.

    Raises:
        InputError: if an image cannot be read.
    """
    indices = np.asarray(numbers) % len(split)
    _, labels = split.source.read(indices)
    batch = {"label": labels, "attributes": split.source.attributes(indices)}
    return shape.of_batch({key: jnp.asarray(values) for key, values in batch.items()})

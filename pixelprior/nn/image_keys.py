"""One random key for each image of a batch.

Legend: b batch.

An image's draws depend on its own key alone, not on the images beside it. The gradient of a batch
is therefore the same in one piece and in parts.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from pixelprior.errors import InputError


def image_keys(key: Key[Array, "*b"] | None, batch: int) -> Any:
    """Return one key for each image of a batch; keys that are already one for each stay.

    Args:
        key: one key for all images, or one for each; None for None.
        batch: number of images.

    Raises:
        InputError: if the key is not typed, or there are keys for another number of images.
    """
    if key is None:
        return None
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.shape not in ((), (batch,)):
        raise InputError(
            f"expected a typed key, jax.random.key(seed), or one for each of {batch} images, got "
            f"{key.dtype} of shape {key.shape}"
        )
    if key.ndim:
        return key
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(batch))


def split_keys(keys: Key[Array, " b"] | None, number: int) -> Any:
    """Split the key of each image; return ``number`` keys for each, ``[number, b]``.

    Without keys, the result is ``number`` times None.
    """
    if keys is None:
        return [None] * number
    return jax.vmap(lambda key: jax.random.split(key, number), out_axes=1)(keys)


def fold_keys(keys: Key[Array, " b"] | None, number: int) -> Any:
    """Fold a number into the key of each image; None for None."""
    return None if keys is None else jax.vmap(jax.random.fold_in, (0, None))(keys, number)

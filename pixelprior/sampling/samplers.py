"""Two samplers, one result: noise in, the grids that the noise stands for out.

Legend: b batch, h height, w width, c channels.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.models.base import AutoregressiveModel
from pixelprior.sampling.draw import draw_pixel
from pixelprior.sampling.strategies import Strategy

Sampler = Callable[
    [AutoregressiveModel, Float[Array, "b h w c"], Context | None, Sequence[Strategy]],
    Int[Array, "b h w c"],
]


def sample_naive(
    model: AutoregressiveModel,
    noise: Float[Array, "b h w c"],
    context: Context | None,
    strategies: Sequence[Strategy],
    *,
    positions: int | None = None,
) -> Int[Array, "b h w c"]:
    """Runs the network over the whole grid for every pixel: slow, obvious, the reference.

    ``positions`` stops after that many pixels, for benchmarks: each of them costs the same.
    """
    height, width, _ = model.grid.shape

    def body(x: Any, position: Any) -> tuple[Any, None]:
        i, j = position // width, position % width
        features = model.features(x, context)[:, i, j]
        pixel = draw_pixel(model.head, features, noise[:, i, j], strategies)
        return x.at[:, i, j].set(pixel), None

    x = jnp.zeros(noise.shape, jnp.int32)
    count = height * width if positions is None else positions
    return lax.scan(body, x, jnp.arange(count))[0]


def sample_cached(
    model: AutoregressiveModel,
    noise: Float[Array, "b h w c"],
    context: Context | None,
    strategies: Sequence[Strategy],
) -> Int[Array, "b h w c"]:
    """*Above* once a row, *left* once a position: one network evaluation per image in all."""
    batch, height, width, _ = noise.shape
    model = model.in_dtype()

    def row(cache: Any, inputs: Any) -> tuple[Any, Any]:
        i, row_noise = inputs
        cache, above, left = model.start_row(cache, i)

        def position(carry: Any, inputs: Any) -> tuple[Any, Any]:
            left, previous, column = carry
            next_j, noise = inputs
            features, left, trace = model.step(column, left, previous)
            pixel = draw_pixel(model.head, features, noise, strategies)
            return (left, pixel, column_of(above, next_j)), (pixel, trace)

        # Each column is cut out one position ahead and carried. Cut out where it is used, XLA would
        # fuse the cut into the activations, which on CPUs then run eight times slower.
        start = (left, model.outside_pixel(batch), column_of(above, 0))
        _, (pixels, traces) = lax.scan(position, start, (jnp.arange(1, width + 1), row_noise))
        return model.end_row(cache, pixels, traces), pixels

    cache = model.init_cache(batch, context)
    by_position = jnp.transpose(noise, (1, 2, 0, 3))
    _, pixels = lax.scan(row, cache, (jnp.arange(height), by_position))
    return jnp.transpose(pixels, (2, 0, 1, 3))


def column_of(row: Any, column: int | Int[Array, ""]) -> Any:
    """One column of arrays ``[..., w, d]``, as chunks ``[..., 1, d]``; the last one, beyond it."""
    return jax.tree.map(lambda x: lax.dynamic_slice_in_dim(x, column, 1, axis=-2), row)


SAMPLERS: dict[str, Sampler] = {"cached": sample_cached, "naive": sample_naive}

"""Two samplers, one result: noise in, the grids that the noise stands for out.

Some symbols may be given: they are taken instead of drawn, and what follows them is drawn as if
they had been. In an array of given symbols `OUTSIDE` stands where nothing is given.

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
from pixelprior.nn.embedding import OUTSIDE
from pixelprior.sampling.draw import draw_pixel
from pixelprior.sampling.strategies import Strategy

Grids = Int[Array, "b h w c"]
Sampler = Callable[
    [
        AutoregressiveModel,
        Float[Array, "b h w c"],
        Context | None,
        Sequence[Strategy],
        Grids | None,
    ],
    Grids,
]


def sample_naive(
    model: AutoregressiveModel,
    noise: Float[Array, "b h w c"],
    context: Context | None,
    strategies: Sequence[Strategy],
    given: Grids | None = None,
    *,
    positions: int | None = None,
) -> Grids:
    """Runs the network over the whole grid for every pixel: slow, obvious, the reference.

    ``positions`` stops after that many pixels, for benchmarks: each of them costs the same.
    """
    height, width, _ = model.grid.shape

    def body(x: Any, position: Any) -> tuple[Any, None]:
        i, j = position // width, position % width
        features = model.features(x, context)[:, i, j]
        pixel = draw_pixel(model.head, features, noise[:, i, j], strategies)
        if given is not None:
            pixel = _unless_given(pixel, given[:, i, j])
        return x.at[:, i, j].set(pixel), None

    x = jnp.zeros(noise.shape, jnp.int32)
    count = height * width if positions is None else positions
    return lax.scan(body, x, jnp.arange(count))[0]


def sample_cached(
    model: AutoregressiveModel,
    noise: Float[Array, "b h w c"],
    context: Context | None,
    strategies: Sequence[Strategy],
    given: Grids | None = None,
) -> Grids:
    """*Above* once a row, *left* once a position: one network evaluation per image in all."""
    batch, height, width, _ = noise.shape
    model = model.in_dtype()

    def row(cache: Any, inputs: Any) -> tuple[Any, Any]:
        i, row_noise, row_given = inputs
        cache, above, left = model.start_row(cache, i)

        def position(carry: Any, inputs: Any) -> tuple[Any, Any]:
            left, previous, column = carry
            next_j, noise, here = inputs
            features, left, trace = model.step(column, left, previous)
            pixel = draw_pixel(model.head, features, noise, strategies)
            if here is not None:
                pixel = _unless_given(pixel, here)
            return (left, pixel, column_of(above, next_j)), (pixel, trace)

        # Each column is cut out one position ahead and carried. Cut out where it is used, XLA would
        # fuse the cut into the activations, which on CPUs then run eight times slower.
        start = (left, model.outside_pixel(batch), column_of(above, 0))
        inputs = (jnp.arange(1, width + 1), row_noise, row_given)
        _, (pixels, traces) = lax.scan(position, start, inputs)
        return model.end_row(cache, pixels, traces), pixels

    cache = model.init_cache(batch, context)
    by_position = jax.tree.map(lambda x: jnp.transpose(x, (1, 2, 0, 3)), (noise, given))
    _, pixels = lax.scan(row, cache, (jnp.arange(height), *by_position))
    return jnp.transpose(pixels, (2, 0, 1, 3))


def _unless_given(pixel: Int[Array, "b c"], given: Int[Array, "b c"]) -> Int[Array, "b c"]:
    return jnp.where(given == OUTSIDE, pixel, given)


def column_of(row: Any, column: int | Int[Array, ""]) -> Any:
    """One column of arrays ``[..., w, d]``, as chunks ``[..., 1, d]``; the last one, beyond it."""
    return jax.tree.map(lambda x: lax.dynamic_slice_in_dim(x, column, 1, axis=-2), row)


SAMPLERS: dict[str, Sampler] = {"cached": sample_cached, "naive": sample_naive}

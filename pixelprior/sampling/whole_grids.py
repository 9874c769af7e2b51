"""Samplers that run the network over whole grids.

Legend: b batch, h height, w width, c channels.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from pixelprior.models.base import AutoregressiveModel
from pixelprior.sampling.draw import draw_pixel
from pixelprior.sampling.sampler import Drawn, Inputs


@dataclasses.dataclass(frozen=True)
class Naive:
    """Reference sampler: run the network over the whole grid for every pixel. It is slow.

    Attributes:
        positions: number of pixels to draw, for benchmarks; None for all. Every pixel costs the
            same.
    """

    positions: int | None = None

    def __call__(self, model: AutoregressiveModel, inputs: Inputs) -> Drawn:
        """See `Sampler`."""
        height, width, _ = model.grid.shape

        def body(x: Any, position: Any) -> tuple[Any, None]:
            i, j = position // width, position % width
            features = model.features(x, inputs.context)[:, i, j]
            noise, given = jax.tree.map(lambda y: y[:, i, j], (inputs.noise, inputs.given))
            pixel = draw_pixel(model.head, features, noise, inputs.strategies, given)
            return x.at[:, i, j].set(pixel), None

        x = jnp.zeros(inputs.noise.shape, jnp.int32)
        count = height * width if self.positions is None else self.positions
        return Drawn(lax.scan(body, x, jnp.arange(count))[0], jnp.full(len(x), count))


@dataclasses.dataclass(frozen=True)
class WholeGrids:
    """Sampler that guesses whole grids, and runs the network over them until they stop changing.

    It needs only the features of a model, and few sequential runs. Each run evaluates the whole
    grid, so it suits devices with compute to spare.
    """

    def __call__(self, model: AutoregressiveModel, inputs: Inputs) -> Drawn:
        """See `Sampler`."""

        def again(state: Any) -> Any:
            x, _, evaluations = state
            features = model.features(x, inputs.context)
            drawn = draw_pixel(model.head, features, inputs.noise, inputs.strategies, inputs.given)
            # No symbol depends on the last pixel.
            changed = (drawn != x).any(axis=-1).reshape(len(x), -1)[:, :-1].any()
            return drawn, changed, evaluations + 1

        start = jnp.zeros(inputs.noise.shape, jnp.int32), jnp.asarray(True), jnp.asarray(0)
        x, _, evaluations = lax.while_loop(lambda state: state[1], again, start)
        return Drawn(x, jnp.full(len(x), evaluations))

"""Input features of a sequence of pixels in any order.

Legend: b batch, h height, w width, s slots, m neighbours of a position, c embedded
features in, d features out.

The symbols known so far are kept in slots. Slot 0 is empty, and slot t holds the embedded pixel
before place t of the sequence. A slot that is not filled yet is never read.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.grid import Grid
from pixelprior.nn.initializers import linear
from pixelprior.nn.orders import Order, Positions, inverse, rearrange
from pixelprior.nn.raster_stem import learned_places

EMPTY = 0
"""Number of the slot that stays zero."""


def neighbours_before(order: Order, kernel_size: int) -> Int[Array, "b h w m"]:
    """Find the slots of each place's neighbours that come before it in the order.

    The result is in the order of the sequence. Neighbours that come later, or are outside the grid,
    have the slot `EMPTY`.

    Args:
        order: the order.
        kernel_size: size of the square of neighbours around a pixel; odd.
    """
    _, height, width = order.shape
    half = kernel_size // 2
    padded = jnp.pad(order, ((0, 0), (half, half), (half, half)), constant_values=height * width)
    neighbours = jnp.stack(
        [
            padded[:, i : i + height, j : j + width]
            for i in range(kernel_size)
            for j in range(kernel_size)
            if (i, j) != (half, half)
        ],
        axis=-1,
    )
    slots = jnp.where(neighbours < order[..., None], neighbours + 1, EMPTY)
    return rearrange(slots, inverse(order))


class OrderStem(nnx.Module):
    """Sum of a place's previous pixel, its known neighbours, and the positions of both pixels.

    Args:
        grid: grid whose rows and columns have learned embeddings.
        kernel_size: size of the square of neighbours; odd.
        c: number of features of an embedded symbol.
        d: number of features out.
        rngs: random number generators for the initial weights.
    """

    def __init__(self, grid: Grid, kernel_size: int, c: int, d: int, *, rngs: nnx.Rngs):
        self.neighbours = linear((kernel_size**2 - 1) * c, d, rngs=rngs)
        self.previous = linear(c, d, use_bias=False, rngs=rngs)
        self.rows, self.columns, self.previous_rows, self.previous_columns = (
            learned_places(sides, d, rngs) for sides in grid.shape[:2] * 2
        )

    def places(self, positions: Positions) -> Float[Array, "b h w d"]:
        """Return the embedded positions of each place's pixel and of the pixel before it."""
        width = self.columns.shape[0]
        before = positions.reshape(len(positions), -1)[:, :-1]
        of_before = self.previous_rows[...][before // width]
        of_before += self.previous_columns[...][before % width]
        of_before = jnp.pad(of_before, ((0, 0), (1, 0), (0, 0)))
        here = self.rows[...][positions // width] + self.columns[...][positions % width]
        return here + of_before.reshape(here.shape)

    def __call__(
        self,
        slots: Float[Array, "b s c"],
        previous: Float[Array, "b #h w c"],
        neighbours: Int[Array, "b #h w m"],
        places: Float[Array, "b #h w d"],
    ) -> Float[Array, "b #h w d"]:
        """Apply the stem at some places of the sequence.

        Args:
            slots: the slots.
            previous: embedded pixel before each place.
            neighbours: see `neighbours_before`.
            places: see `places`.
        """
        known = jax.vmap(lambda slots, neighbours: slots[neighbours])(slots, neighbours)
        known = known.reshape(*neighbours.shape[:-1], -1)
        return self.neighbours(known) + self.previous(previous) + places

"""Grids that are turned or mirrored, for training by distribution augmentation.

A square grid has eight turns: the symmetries of a square. Another grid has the four that keep its
shape. Turn 0 is upright.

A model learns all turns of its training images, and is told the turn of each. Each turn is a
distribution of its own. The turns share most of the network, so the many distributions regularise
the upright one. No turned image is drawn, unless a caller requests its turn. Jun et al. 2020,
Distribution Augmentation for Generative Modeling, section 3.

Legend: b batch, h height, w width, c channels, t turns.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from pixelprior.grid import Grid


def count_turns(grid: Grid) -> int:
    """Number of ways to turn or mirror a grid that keep its shape: 8 for a square, else 4."""
    return 8 if grid.height == grid.width else 4


def turned(x: Int[Array, "b h w c"], turn: Int[Array, " b"], grid: Grid) -> Int[Array, "b h w c"]:
    """Turn each grid of a batch.

    Example:
        >>> x = jnp.arange(4).reshape(1, 2, 2, 1)
        >>> turned(x, jnp.array([2]), Grid(2, 2, 1, 4))[0, :, :, 0]  # mirrored left to right
        Array([[1, 0],
               [3, 2]], dtype=int32)

    Args:
        x: symbols.
        turn: number of each grid's turn, in ``[0, count_turns(grid))``.
        grid: size of the grids.
    """
    pixels = x.reshape(len(x), -1, x.shape[-1])
    sources = jnp.asarray(_sources(grid))[turn]
    return jnp.take_along_axis(pixels, sources[:, :, None], axis=1).reshape(x.shape)


def draw_turns(keys: Key[Array, " b"], share: float, grid: Grid) -> Int[Array, " b"]:
    """Draw the turn of each training image: upright with probability ``1 - share``, or any other.

    Args:
        keys: one key for each image.
        share: share of the images that are not upright.
        grid: size of the images.
    """

    def draw(key: Array) -> Array:
        chosen, other = jax.random.split(key)
        turn = jax.random.randint(other, (), 1, count_turns(grid))
        return jnp.where(jax.random.bernoulli(chosen, share), turn, 0)

    return jax.vmap(draw)(keys)


def _sources(grid: Grid) -> Int[np.ndarray, "t hw"]:
    """For each turn, the pixel that each place of the turned grid shows."""
    pixels = np.arange(grid.height * grid.width).reshape(grid.height, grid.width)
    squares = [pixels] if count_turns(grid) == 4 else [pixels, pixels.T]
    turns = [(x, x[::-1, ::-1], x[:, ::-1], x[::-1]) for x in squares]
    return np.stack([turn.reshape(-1) for four in turns for turn in four])

"""Maps of codes: the names of their levels, and uniformly random ones.

Legend: n images, h height, w width, g codebooks.
"""

from collections.abc import Sequence

import jax
from jaxtyping import Array, Int

from pixelprior.grid import Grid


def level_names(num_levels: int) -> tuple[str, ...]:
    """Return the names of the levels, the coarsest first. The first, or only, one is "top"."""
    if num_levels == 1:
        return ("top",)
    between = [f"middle_{n}" for n in range(1, num_levels - 1)]
    return ("top", *(["middle"] if len(between) == 1 else between), "bottom")


def random_codes(
    key: Array, images: Int[Array, " n"], grids: Sequence[Grid]
) -> list[Int[Array, "n _ _ g"]]:
    """Draw every code uniformly and independently: a baseline for a prior.

    The codes of image n depend only on ``(key, n)``.
    """
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, images)
    return [
        jax.vmap(
            lambda k, number=number, grid=grid: jax.random.randint(
                jax.random.fold_in(k, number), grid.shape, 0, grid.levels
            )
        )(keys)
        for number, grid in enumerate(grids)
    ]

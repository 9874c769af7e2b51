"""The receptive field of a run: which earlier positions its model sees."""

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from pixelprior.errors import InputError
from pixelprior.evaluation.receptive_field import receptive_field
from pixelprior.models.base import AutoregressiveModel
from pixelprior.runs.run import Run

SEED = 0  # of the samples and the projections, the same for all runs


def field_of(run: Run, images: Int[Array, "b h w c"] | None = None) -> Float[np.ndarray, "h w"]:
    """Measure the receptive field of the centre.

    Args:
        run: a run of a model of pixels in raster order.
        images: samples of it, of all classes in turn; by default they are drawn.

    Raises:
        InputError: if the run is another one.
    """
    check_has_field(run)
    return receptive_field(run.model, key=jax.random.key(SEED), images=images)


def check_has_field(run: Run) -> None:
    """Raise an InputError unless a run is of a model of pixels in raster order."""
    if not isinstance(run.model, AutoregressiveModel):
        raise InputError(
            "a receptive field is that of a model of pixels in raster order; this run is of the "
            f"task {run.task!r}, with a {type(run.model).__name__}"
        )

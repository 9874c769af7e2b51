"""Receptive field of a run: the earlier positions that a prediction depends on."""

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from pixelprior.errors import InputError
from pixelprior.evaluation.receptive_field import receptive_field
from pixelprior.models.base import AutoregressiveModel
from pixelprior.runs.run import Run

SEED = 0  # seed of the samples and the projections, the same for all runs


def field_of(run: Run, images: Int[Array, "b h w c"] | None = None) -> Float[np.ndarray, "h w"]:
    """Measure the receptive field of the centre position.

    Args:
        run: a run of a pixel model in raster order.
        images: samples of the model, with all classes in turn; by default they are drawn.

    Raises:
        InputError: if the run has another kind of model.
    """
    check_has_field(run)
    return receptive_field(run.model, key=jax.random.key(SEED), images=images)


def check_has_field(run: Run) -> None:
    """Raise an InputError unless a run has a pixel model in raster order."""
    if not isinstance(run.model, AutoregressiveModel):
        raise InputError(
            "a receptive field is that of a pixel model in raster order; this run is of the "
            f"task {run.task!r}, with a {type(run.model).__name__}"
        )

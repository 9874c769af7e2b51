"""Sizes of the networks and batches that an accelerator is measured with."""

import inspect
from typing import Any, NamedTuple

from flax import nnx

from pixelprior.grid import Grid
from pixelprior.models import MODELS

DEPTHS = ("num_layers", "num_blocks", "num_residuals")
"""Settings that a small measurement sets to 1."""


class Size(NamedTuple):
    """Size of a measurement.

    Attributes:
        side: height and width of binary images.
        features: features of every network.
        batches: batch sizes of training steps.
        drawn: batch sizes of samplers.
        product: size of the matrix product that is timed.
        shallow: use networks of the least depth.
    """

    side: int
    features: int
    batches: tuple[int, ...]
    drawn: tuple[int, ...]
    product: int
    shallow: bool


WHOLE = Size(28, 128, (16, 64, 256), (1, 16, 256, 1024), 8192, shallow=False)
SMALL = Size(8, 16, (4,), (1, 4), 512, shallow=True)


def make(name: str, grid: Grid, size: Size, **settings: Any) -> Any:
    """Make a model with new weights, 10 layers deep if it is a Gated PixelCNN."""
    if name == "gated_pixel_cnn":
        settings["num_layers"] = 10
    if size.shallow:
        settings |= _shallow(name)
    maker: Any = MODELS[name]
    return maker(grid, features=size.features, rngs=nnx.Rngs(0), **settings)


def _shallow(name: str) -> dict[str, Any]:
    # Each model has some of these settings; its constructor names them.
    known = inspect.signature(MODELS[name].__init__).parameters
    return {key: 1 for key in DEPTHS if key in known}

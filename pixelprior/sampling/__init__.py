"""Drawing grids from a model."""

from pixelprior.sampling.sample import sample
from pixelprior.sampling.strategies import Strategy, Temperature, TopK, TopP

__all__ = ["Strategy", "Temperature", "TopK", "TopP", "sample"]

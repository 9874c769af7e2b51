"""Draw grids from a model."""

from pixelprior.sampling.in_columns import InColumns
from pixelprior.sampling.known import UNKNOWN
from pixelprior.sampling.rows import sample_rows
from pixelprior.sampling.sample import sample, sample_and_count
from pixelprior.sampling.sampler import Drawn, Sampler
from pixelprior.sampling.strategies import Greedy, MinP, Strategy, Temperature, TopK, TopP
from pixelprior.sampling.whole_grids import Naive, WholeGrids

__all__ = [
    "UNKNOWN",
    "Drawn",
    "Greedy",
    "InColumns",
    "MinP",
    "Naive",
    "Sampler",
    "Strategy",
    "Temperature",
    "TopK",
    "TopP",
    "WholeGrids",
    "sample",
    "sample_and_count",
    "sample_rows",
]

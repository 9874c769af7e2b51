"""Heads of the models, by name."""

import dataclasses

from flax import nnx

from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.nn.head import Head
from pixelprior.nn.logistic_mixture_head import LogisticMixtureHead
from pixelprior.nn.softmax_head import SoftmaxHead

HEADS = ("softmax", "logistic_mixture")


@dataclasses.dataclass(frozen=True)
class HeadSettings:
    """Kind and size of a head.

    Attributes:
        name: "softmax" for any symbols, "logistic_mixture" for intensities, which have an order.
        hidden_features: number of units of the hidden layer; the softmax has one such layer for
            each channel.
        num_mixtures: number of logistics in the mixture; the softmax does not use it.

    Raises:
        InputError: if the head is unknown.
    """

    name: str
    hidden_features: int
    num_mixtures: int

    def __post_init__(self) -> None:
        if self.name not in HEADS:
            raise InputError(f"head must be one of {', '.join(HEADS)}, got {self.name!r}")

    def make(self, grid: Grid, d: int, *, rngs: nnx.Rngs) -> Head:
        """Return the head of a network with ``d`` features."""
        if self.name == "softmax":
            return SoftmaxHead(grid, d, hidden_features=self.hidden_features, rngs=rngs)
        return LogisticMixtureHead(
            grid,
            d,
            hidden_features=self.hidden_features,
            num_mixtures=self.num_mixtures,
            rngs=rngs,
        )

"""The heads that a model may have, by name."""

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
    """Which head, and how large.

    Attributes:
        name: "softmax" for any symbols; "logistic_mixture" for intensities, which have an order.
        hidden_features: of the head's own layer, for each channel.
        num_mixtures: logistics in the mixture; the softmax has no use for it.

    Raises:
        InputError: if there is no such head.
    """

    name: str
    hidden_features: int
    num_mixtures: int

    def __post_init__(self) -> None:
        if self.name not in HEADS:
            raise InputError(f"head must be one of {', '.join(HEADS)}, got {self.name!r}")

    def make(self, grid: Grid, d: int, *, rngs: nnx.Rngs) -> Head:
        """The head of a network with ``d`` features."""
        if self.name == "softmax":
            return SoftmaxHead(grid, d, hidden_features=self.hidden_features, rngs=rngs)
        return LogisticMixtureHead(
            grid,
            d,
            hidden_features=self.hidden_features,
            num_mixtures=self.num_mixtures,
            rngs=rngs,
        )

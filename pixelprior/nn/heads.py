"""The heads that a model may have, by name."""

from flax import nnx

from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.nn.head import Head
from pixelprior.nn.logistic_mixture_head import LogisticMixtureHead
from pixelprior.nn.softmax_head import SoftmaxHead

HEADS = ("softmax", "logistic_mixture")


def make_head(
    name: str,
    grid: Grid,
    d: int,
    *,
    hidden_features: int,
    num_mixtures: int,
    rngs: nnx.Rngs,
) -> Head:
    """The head of a model with ``d`` features.

    Args:
        name: "softmax" for any symbols; "logistic_mixture" for intensities, which have an order.
        grid: of the symbols.
        d: features of the network.
        hidden_features: of the head's own layer, for each channel.
        num_mixtures: logistics in the mixture; the softmax has no use for it.
        rngs: where the initial weights come from.

    Raises:
        InputError: if there is no such head.
    """
    if name == "softmax":
        return SoftmaxHead(grid, d, hidden_features=hidden_features, rngs=rngs)
    if name == "logistic_mixture":
        return LogisticMixtureHead(
            grid, d, hidden_features=hidden_features, num_mixtures=num_mixtures, rngs=rngs
        )
    raise InputError(f"head must be one of {', '.join(HEADS)}, got {name!r}")

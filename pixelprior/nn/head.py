"""Base of all heads: the distribution of one pixel, by the chain rule over its channels.

Legend: n any leading axes, d features, c channels, v values per symbol.
"""

import abc

from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.grid import Grid


class Head(nnx.Module, metaclass=abc.ABCMeta):
    """p(pixel | features) = product over channels of p(channel | features, earlier channels).

    Sampling, completion and coding call only ``logits``. Training calls ``log_prob``, which does
    not need to compute the mass of every value.
    """

    grid: Grid

    @abc.abstractmethod
    def logits(
        self, features: Float[Array, "*n d"], earlier: Int[Array, "*n k"]
    ) -> Float[Array, "*n v"]:
        """Return the unnormalised logits of channel ``k``, given the ``k`` channels before it."""

    @abc.abstractmethod
    def log_prob(
        self, features: Float[Array, "*n d"], pixel: Int[Array, "*n c"]
    ) -> Float[Array, "*n"]:
        """Return the log-probability of whole pixels, in nats."""

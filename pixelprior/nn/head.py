"""What a head is: the distribution of one pixel, by the chain rule over its channels.

Legend: n any leading axes, d features, c channels, v levels.
"""

import abc

from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.grid import Grid


class Head(nnx.Module, metaclass=abc.ABCMeta):
    """p(pixel | features) = product over channels of p(channel | features, earlier channels).

    ``logits`` is all that sampling, completing and coding ever ask for; ``log_prob`` is what
    training asks for, and need not build every level's mass.
    """

    grid: Grid

    @abc.abstractmethod
    def logits(
        self, features: Float[Array, "*n d"], earlier: Int[Array, "*n k"]
    ) -> Float[Array, "*n v"]:
        """The distribution of channel ``k``, given the ``k`` channels before it, unnormalised."""

    @abc.abstractmethod
    def log_prob(
        self, features: Float[Array, "*n d"], pixel: Int[Array, "*n c"]
    ) -> Float[Array, "*n"]:
        """The log-probability of whole pixels, in nats."""

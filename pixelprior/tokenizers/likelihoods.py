"""What a decoder says of the pixels, given the codes: two likelihoods, independent pixel by pixel.

Legend: b batch, h height, w width, c channels, p parameters of a pixel.
"""

import abc
import dataclasses
import math

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from pixelprior.grid import Grid
from pixelprior.nn.discretized_logistic import log_mass


@dataclasses.dataclass(frozen=True)
class Likelihood(abc.ABC):
    """A distribution of pixels whose parameters a decoder gives. It has no weights of its own.

    Attributes:
        grid: the symbols that pixels are made of; symbol s stands for brightness s / (levels - 1).
    """

    grid: Grid

    @property
    @abc.abstractmethod
    def num_parameters(self) -> int:
        """``p``: how many numbers a decoder must give for each pixel."""

    @abc.abstractmethod
    def mean(self, parameters: Float[Array, "b h w p"]) -> Float[Array, "b h w c"]:
        """The pixels expected, in [0, 1] up to what the network overshoots."""

    @abc.abstractmethod
    def loss(
        self, parameters: Float[Array, "b h w p"], x: Int[Array, "b h w c"], variance: float
    ) -> Float[Array, ""]:
        """What training brings down, per channel of a pixel.

        Args:
            parameters: the decoder's.
            x: the symbols to predict.
            variance: of the pixels of the training images, in squared units of [0, 1].
        """


class Gaussian(Likelihood):
    """The mean alone, learned by its squared error. It gives no probability to a symbol.

    The error is divided by the variance of the data, so that 1 is what predicting the mean pixel
    costs, whatever the data, and the weight of the commitment loss means the same everywhere.
    """

    @property
    def num_parameters(self) -> int:
        """See `Likelihood.num_parameters`."""
        return self.grid.channels

    def mean(self, parameters: Float[Array, "b h w p"]) -> Float[Array, "b h w c"]:
        """See `Likelihood.mean`."""
        return parameters

    def loss(
        self, parameters: Float[Array, "b h w p"], x: Int[Array, "b h w c"], variance: float
    ) -> Float[Array, ""]:
        """See `Likelihood.loss`."""
        return jnp.mean((parameters - as_pixels(x, self.grid)) ** 2) / variance


class DiscretizedLogistic(Likelihood):
    """A logistic for each channel of each pixel, its mass gathered level by level, see `log_mass`.

    It is a distribution over symbols, exactly, so what it costs to code a picture can be counted in
    bits. Salimans et al. 2017 (PixelCNN++), section 2.1.
    """

    @property
    def num_parameters(self) -> int:
        """See `Likelihood.num_parameters`: a mean and a log-scale for each channel."""
        return 2 * self.grid.channels

    def mean(self, parameters: Float[Array, "b h w p"]) -> Float[Array, "b h w c"]:
        """See `Likelihood.mean`: the logistic's own, before the tails are cut off."""
        return self._split(parameters)[0]

    def log_prob(
        self, parameters: Float[Array, "b h w p"], x: Int[Array, "b h w c"]
    ) -> Float[Array, " b"]:
        """The log-probability of whole pictures, in nats."""
        mean, log_scale = self._split(parameters)
        # Levels lie on [-1, 1] there, and on [0, 1] here.
        of_symbols = log_mass(x, 2.0 * mean - 1.0, log_scale + math.log(2.0), self.grid.levels)
        return of_symbols.sum(axis=(1, 2, 3))

    def loss(
        self, parameters: Float[Array, "b h w p"], x: Int[Array, "b h w c"], variance: float
    ) -> Float[Array, ""]:
        """See `Likelihood.loss`: nats per dimension; the variance plays no part."""
        return -self.log_prob(parameters, x).mean() / self.grid.size

    def _split(
        self, parameters: Float[Array, "b h w p"]
    ) -> tuple[Float[Array, "b h w c"], Float[Array, "b h w c"]]:
        """Means, and log-scales between what a level is wide over 100 and e times the range."""
        mean, raw = jnp.split(parameters.astype(jnp.float32), 2, axis=-1)
        # A narrower logistic would put all mass on one level, and its gradient would overflow. A
        # fresh decoder gives zeros: a scale of a tenth of the range.
        lowest = -math.log(100.0 * (self.grid.levels - 1))
        return mean, jnp.clip(raw + math.log(0.1), lowest, 1.0)


LIKELIHOODS: dict[str, type[Likelihood]] = {
    "gaussian": Gaussian,
    "discretized_logistic": DiscretizedLogistic,
}


def as_pixels(x: Int[Array, "b h w c"], grid: Grid) -> Float[Array, "b h w c"]:
    """Symbols as brightness in [0, 1]."""
    return x.astype(jnp.float32) / (grid.levels - 1)

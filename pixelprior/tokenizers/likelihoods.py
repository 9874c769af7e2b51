"""Two likelihoods of pixels given the codes; in both, pixels are independent.

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
    """Distribution of pixels with parameters from a decoder. It has no weights of its own.

    Attributes:
        grid: grid of the symbols of pixels; symbol s has brightness s / (levels - 1).
    """

    grid: Grid

    @property
    @abc.abstractmethod
    def num_parameters(self) -> int:
        """Number ``p`` of parameters that a decoder must give for each pixel."""

    @abc.abstractmethod
    def mean(self, parameters: Float[Array, "b h w p"]) -> Float[Array, "b h w c"]:
        """Compute the expected pixels, in [0, 1] unless the network overshoots."""

    @abc.abstractmethod
    def loss(
        self, parameters: Float[Array, "b h w p"], x: Int[Array, "b h w c"], variance: float
    ) -> Float[Array, ""]:
        """Compute the training loss, per channel of a pixel.

        Args:
            parameters: parameters from the decoder.
            x: symbols to predict.
            variance: variance of the pixels of the training images, in squared units of [0, 1].
        """


class Gaussian(Likelihood):
    """Likelihood with only a mean, learned by its squared error. Symbols have no probability.

    The error is divided by the variance of the data. Predicting the mean pixel then costs 1 for
    every data set, and the weight of the commitment loss means the same everywhere.
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
    """Logistic for each channel of each pixel, integrated over each value, see `log_mass`.

    It is an exact distribution over symbols, so the cost of coding an image can be counted in bits.
    Salimans et al. 2017 (PixelCNN++), section 2.1.
    """

    @property
    def num_parameters(self) -> int:
        """See `Likelihood.num_parameters`: a mean and a log-scale for each channel."""
        return 2 * self.grid.channels

    def mean(self, parameters: Float[Array, "b h w p"]) -> Float[Array, "b h w c"]:
        """See `Likelihood.mean`: the mean of the logistic before the tails are cut off."""
        return self._split(parameters)[0]

    def log_prob(
        self, parameters: Float[Array, "b h w p"], x: Int[Array, "b h w c"]
    ) -> Float[Array, " b"]:
        """Compute the log-probability of whole images, in nats."""
        mean, log_scale = self._split(parameters)
        # Values of symbols lie on [-1, 1] in `log_mass`, and on [0, 1] here.
        of_symbols = log_mass(x, 2.0 * mean - 1.0, log_scale + math.log(2.0), self.grid.levels)
        return of_symbols.sum(axis=(1, 2, 3))

    def loss(
        self, parameters: Float[Array, "b h w p"], x: Int[Array, "b h w c"], variance: float
    ) -> Float[Array, ""]:
        """See `Likelihood.loss`: nats per dimension; the variance is unused."""
        return -self.log_prob(parameters, x).mean() / self.grid.size

    def _split(
        self, parameters: Float[Array, "b h w p"]
    ) -> tuple[Float[Array, "b h w c"], Float[Array, "b h w c"]]:
        """Split the parameters into means and log-scales.

        Scales are limited: from a hundredth of the width of a value to e times the range.
        """
        mean, raw = jnp.split(parameters.astype(jnp.float32), 2, axis=-1)
        # A narrower logistic would put all mass on one value, and its gradient would overflow. A
        # fresh decoder gives zeros: a scale of a tenth of the range.
        lowest = -math.log(100.0 * (self.grid.levels - 1))
        return mean, jnp.clip(raw + math.log(0.1), lowest, 1.0)


LIKELIHOODS: dict[str, type[Likelihood]] = {
    "gaussian": Gaussian,
    "discretized_logistic": DiscretizedLogistic,
}


def as_pixels(x: Int[Array, "b h w c"], grid: Grid) -> Float[Array, "b h w c"]:
    """Turn symbols into brightness in [0, 1]."""
    return x.astype(jnp.float32) / (grid.levels - 1)

"""Head for intensities, which have an order: a mixture of discretised logistics.

Legend: n any leading axes, d features, c channels, k earlier channels, v values per symbol, m
components of the mixture, q = c (c - 1) / 2 pairs of channels.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.nn.discretized_logistic import brightness, log_mass
from pixelprior.nn.head import Head
from pixelprior.nn.initializers import fan_in, linear


class _Mixture(NamedTuple):
    log_weights: Float[Array, "*n m"]
    means: Float[Array, "*n c m"]  # before the shift by earlier channels; symbols are in [-1, 1]
    log_scales: Float[Array, "*n c m"]
    coefficients: Float[Array, "*n q m"]  # of channel 1 on 0, of 2 on 0, of 2 on 1, ...


class LogisticMixtureHead(Head):
    """Mixture over whole pixels; given a component, each channel is a discretised logistic.

    A linear function of the earlier channels shifts the mean of each channel (Salimans et al. 2017,
    PixelCNN++, section 2.1 and equation 3). This head extends that to any number of channels.

    Neighbouring values share parameters. A pixel with 256 values per channel needs a few numbers,
    while a softmax needs 256 for each channel.

    The layers per pixel are relu, 1x1, relu, 1x1, as in `SoftmaxHead`. The paper has a single
    linear layer.

    Raises:
        InputError: if ``num_mixtures`` is below 1.
    """

    def __init__(
        self, grid: Grid, d: int, *, hidden_features: int, num_mixtures: int, rngs: nnx.Rngs
    ):
        if num_mixtures < 1:
            raise InputError(f"num_mixtures must be at least 1, got {num_mixtures}")
        self.grid = grid
        self.num_mixtures = num_mixtures
        c, m = grid.channels, num_mixtures
        self.hidden = linear(d, hidden_features, rngs=rngs)
        # A new head is close to uniform, for one channel or many. Its components have equal
        # weights, and are wide enough for the whole range. They are far enough apart to learn
        # different things.
        bias = np.zeros((1 + 2 * c + c * (c - 1) // 2, m))
        bias[1 : 1 + c] = 0.5 * ((2.0 * np.arange(m) + 1.0) / m - 1.0)
        bias[1 + c : 1 + 2 * c] = math.log(0.35)
        self.output = linear(
            hidden_features,
            bias.size,
            kernel_init=fan_in(0.01),
            bias_init=lambda key, shape, dtype: jnp.asarray(bias.ravel(), dtype),
            rngs=rngs,
        )

    def logits(
        self, features: Float[Array, "*n d"], earlier: Int[Array, "*n k"]
    ) -> Float[Array, "*n v"]:
        """See `Head.logits`; returns log-masses, and the masses add up to one."""
        mixture = self._mixture(features)
        # The weight of a component includes the probability of the earlier channels under it.
        log_weights = jax.nn.log_softmax(self._joint(mixture, earlier), axis=-1)
        mean, log_scale = self._logistics(mixture, earlier)
        every_level = jnp.arange(self.grid.levels)[:, None]
        masses = log_mass(
            every_level, mean[..., None, :], log_scale[..., None, :], self.grid.levels
        )
        return jax.nn.logsumexp(log_weights[..., None, :] + masses, axis=-1)

    def log_prob(
        self, features: Float[Array, "*n d"], pixel: Int[Array, "*n c"]
    ) -> Float[Array, "*n"]:
        """See `Head.log_prob`; computes the mass of the pixel's own values only."""
        return jax.nn.logsumexp(self._joint(self._mixture(features), pixel), axis=-1)

    def _mixture(self, features: Float[Array, "*n d"]) -> _Mixture:
        c, m = self.grid.channels, self.num_mixtures
        hidden = self.hidden(jax.nn.relu(features.astype(jnp.float32)))
        parameters = self.output(jax.nn.relu(hidden))
        parameters = parameters.reshape(*parameters.shape[:-1], -1, m)
        weights, means, log_scales, coefficients = jnp.split(
            parameters, [1, 1 + c, 1 + 2 * c], axis=-2
        )
        # A scale below a twentieth of a step between symbols would put all mass on one symbol. The
        # gradient of the mean is up to 1 / scale, and would grow without bound. A scale far above
        # the range already puts all mass on the two end values. There exp(-log_scale) would go to
        # zero, and `log_mass` takes a logarithm that would diverge.
        lowest = math.log(0.05 * 2.0 / (self.grid.levels - 1))
        return _Mixture(
            jax.nn.log_softmax(weights[..., 0, :], axis=-1),
            means,
            jnp.clip(log_scales, lowest, 3.0),
            jnp.tanh(coefficients),
        )

    def _joint(self, mixture: _Mixture, symbols: Int[Array, "*n k"]) -> Float[Array, "*n m"]:
        """Return the joint log-probability of each component and the first ``k`` channels."""
        total = mixture.log_weights
        for channel in range(symbols.shape[-1]):
            mean, log_scale = self._logistics(mixture, symbols[..., :channel])
            symbol = symbols[..., channel, None]
            total = total + log_mass(symbol, mean, log_scale, self.grid.levels)
        return total

    def _logistics(
        self, mixture: _Mixture, earlier: Int[Array, "*n k"]
    ) -> tuple[Float[Array, "*n m"], Float[Array, "*n m"]]:
        """Return mean and log-scale of channel ``k`` per component, given the earlier channels."""
        channel = earlier.shape[-1]
        first = channel * (channel - 1) // 2
        coefficients = mixture.coefficients[..., first : first + channel, :]
        shift = (coefficients * brightness(earlier, self.grid.levels)[..., None]).sum(axis=-2)
        return mixture.means[..., channel, :] + shift, mixture.log_scales[..., channel, :]

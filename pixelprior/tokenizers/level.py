"""One level of a VQ-VAE: the networks around its quantizer.

Legend: b batch, h height, w width, s stride, c channels, f features, e features decoded from
coarser levels, q features of a quantizer.
"""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pixelprior.nn.initializers import linear
from pixelprior.nn.residual import Downsample, ResidualTower, Upsample
from pixelprior.tokenizers.quantizer import Quantized, Quantizer

ENCODER_PARTS = ("down", "encoder", "project")
"""Attributes of a `Level` that turn its input into vectors for the quantizer."""


class Level(nnx.Module):
    """Encoder, quantizer and decoder of one level.

    Args:
        c: number of channels of the input.
        known: number of features decoded from the coarser levels; 0 for the coarsest level.
        out: number of channels of the output.
        stride: factor by which the level is coarser than its input.
        features: width of encoder and decoder.
        residual_features: number of hidden units of their residual blocks.
        num_residual_blocks: number of residual blocks in each of them.
        quantizer: quantizer of the level.
        rngs: source of the initial weights.
    """

    def __init__(
        self,
        c: int,
        known: int,
        out: int,
        *,
        stride: int,
        features: int,
        residual_features: int,
        num_residual_blocks: int,
        quantizer: Quantizer,
        rngs: nnx.Rngs,
    ):
        def tower(channels: int) -> ResidualTower:
            return ResidualTower(
                channels, features, r=residual_features, depth=num_residual_blocks, rngs=rngs
            )

        self.down = Downsample(c, features, stride, rngs=rngs)
        self.encoder = tower(features)
        self.project = linear(features + known, quantizer.features, rngs=rngs)
        self.quantizer = quantizer
        self.decoder = tower(quantizer.features + known)
        self.up = Upsample(features, out, stride, rngs=rngs)

    def encode(self, x: Float[Array, "b s*h s*w c"]) -> Float[Array, "b h w f"]:
        """Return the features of the level."""
        return self.encoder(self.down(x))

    def vectors(
        self, encoded: Float[Array, "b h w f"], known: Float[Array, "b h w e"] | None
    ) -> Float[Array, "b h w q"]:
        """Return the vectors to quantize, given the decoded coarser levels."""
        return self.project(_join(encoded, known))

    def quantize(
        self,
        encoded: Float[Array, "b h w f"],
        known: Float[Array, "b h w e"] | None,
        key: Array | None,
    ) -> Quantized:
        """Choose codes, given the decoded coarser levels; see `Quantizer` for the key."""
        return self.quantizer(self.vectors(encoded, known), key)

    def decode(
        self, vectors: Float[Array, "b h w q"], known: Float[Array, "b h w e"] | None
    ) -> Float[Array, "b s*h s*w out"]:
        """Decode the vectors of the codes, given the decoded coarser levels."""
        return self.up(self.decoder(_join(vectors, known)))


def _join(
    here: Float[Array, "b h w f"], known: Float[Array, "b h w e"] | None
) -> Float[Array, "b h w f+e"]:
    return here if known is None else jnp.concatenate([here, known], axis=-1)

"""What is left of images after they were codes, and how much of the codebooks that takes.

Legend: n images, b batch, h height, w width, c channels, g codebooks, k codes of each.
"""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float64, Int64

from pixelprior import jitted
from pixelprior.data import Split, Symbols, evaluation_batches
from pixelprior.evaluation.code_use import CodeUse, code_counts, code_use
from pixelprior.evaluation.likelihood import standard_error
from pixelprior.system.devices import put_batch, rows_here, to_host
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.likelihoods import DiscretizedLogistic, as_pixels
from pixelprior.tokenizers.vqvae import level_names

NO_BITS = (
    "no bits/dim: this decoder is trained by squared error and gives pixels no probability; one "
    "with config.tokenizer.likelihood=discretized_logistic does"
)


class Reconstruction(NamedTuple):
    """How well a tokenizer keeps a split.

    Attributes:
        loss: see `Likelihood.loss`.
        squared_error: mean over images, pixels and channels, in squared units of [0, 1].
        squared_error_error: the standard error of that mean, over images.
        decoder_bits_per_dim: what the decoder needs for a symbol, given the codes; None for a
            decoder that gives no probabilities.
        code_bits: what the codes of an image take, each code of a codebook as dear as any other.
        use: how much of its codebooks each level uses, the coarsest first.
        num_images: how many images.
        num_dims: how many symbols an image has.
        counts: how often each code of each level occurs.
        squared_errors: of each image, in the order of the split.
        decoder_nats: what the decoder needs for each image, given the codes; None as above.
    """

    loss: float
    squared_error: float
    squared_error_error: float
    decoder_bits_per_dim: float | None
    code_bits: float
    use: list[CodeUse]
    num_images: int
    num_dims: int
    counts: list[Int64[np.ndarray, "g k"]]
    squared_errors: Float64[np.ndarray, " n"]
    decoder_nats: Float64[np.ndarray, " n"] | None

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio of the mean squared error, in decibels."""
        return -10 * math.log10(max(self.squared_error, 1e-12))

    @property
    def bits_per_dim(self) -> float | None:
        """An upper bound of what an image takes, codes included, in bits per symbol.

        The codes cost what they would under a uniform prior; a learned one brings that down.
        """
        if self.decoder_bits_per_dim is None:
            return None
        return self.decoder_bits_per_dim + self.code_bits / self.num_dims

    def metrics(self) -> dict[str, float]:
        """By name, for records."""
        metrics = {"loss": self.loss, "squared_error": self.squared_error, "psnr": self.psnr}
        if self.bits_per_dim is not None:
            metrics["bits_per_dim"] = self.bits_per_dim
        for name, use in zip(level_names(len(self.use)), self.use, strict=True):
            metrics |= {f"{name}_perplexity": use.perplexity, f"{name}_codes_used": use.used}
        return metrics

    def words(self) -> str:
        """The same for people."""
        bits = "" if self.bits_per_dim is None else f", {self.bits_per_dim:.4f} bits/dim"
        levels = "; ".join(
            f"{name} perplexity {use.perplexity:.1f}, {use.used:.0%} of codes used"
            for name, use in zip(level_names(len(self.use)), self.use, strict=True)
        )
        return f"MSE {self.squared_error:.5f} ({self.psnr:.2f} dB){bits}; {levels}"


def _reconstruct(model: VQVAE, x: Any) -> Any:
    pixels = as_pixels(x, model.grid)
    levels = model.quantize(pixels)
    parameters = model.decode_parameters([level.vectors for level in levels])
    mean = jnp.clip(model.likelihood.mean(parameters), 0.0, 1.0)
    error = ((mean - pixels) ** 2).mean(axis=(1, 2, 3))
    if isinstance(model.likelihood, DiscretizedLogistic):
        nats = -model.likelihood.log_prob(parameters, x)
    else:
        nats = None
    return error, nats, [level.indices for level in levels]


def evaluate_reconstruction(
    model: VQVAE,
    split: Split,
    symbols: Symbols,
    *,
    variance: float,
    batch_size: int,
    mesh: Mesh,
) -> Reconstruction:
    """Takes every image of a split through its codes once.

    Args:
        model: the tokenizer.
        split: the images.
        symbols: how they become symbols.
        variance: of the training images' pixels, see `Likelihood.loss`.
        batch_size: of all devices together.
        mesh: the devices.

    Raises:
        InputError: if an image cannot be read.
    """
    errors, nats = [], []
    counts = [np.zeros((grid.channels, grid.levels), np.int64) for grid in model.code_grids]
    rows = rows_here(batch_size, mesh)
    for batch in evaluation_batches(split, symbols, batch_size=batch_size, rows=rows):
        inputs = put_batch(batch, mesh)
        (error, here, indices), mask = to_host(
            (jitted.call(_reconstruct, model, inputs["image"]), inputs["mask"])
        )
        errors.append(error[mask].astype(np.float64))
        if here is not None:
            nats.append(here[mask].astype(np.float64))
        for total, grid, level in zip(counts, model.code_grids, indices, strict=True):
            total += code_counts(level[mask], grid.levels)
    error = np.concatenate(errors)
    squared_error = float(error.mean())
    dims = model.grid.size
    per_image = np.concatenate(nats) if nats else None
    decoder_nats = None if per_image is None else float(per_image.mean())
    return Reconstruction(
        loss=squared_error / variance if decoder_nats is None else decoder_nats / dims,
        squared_error=squared_error,
        squared_error_error=standard_error(error),
        decoder_bits_per_dim=None if decoder_nats is None else decoder_nats / dims / math.log(2.0),
        code_bits=code_bits(model),
        use=[code_use(total) for total in counts],
        num_images=error.size,
        num_dims=dims,
        counts=counts,
        squared_errors=error,
        decoder_nats=per_image,
    )


def code_bits(model: VQVAE) -> float:
    """How many bits the codes of an image take, each code as dear as any other."""
    return sum(grid.size * math.log2(grid.levels) for grid in model.code_grids)

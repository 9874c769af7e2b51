"""Quality of a tokenizer's reconstructions, and its use of the codebooks.

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
from pixelprior.evaluation.code_use import (
    CodeUse,
    code_counts,
    code_use,
    metrics_of_levels,
    words_of_levels,
)
from pixelprior.evaluation.likelihood import standard_error
from pixelprior.progress import Check, go_on
from pixelprior.system.devices import put_batch, rows_here, to_host
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.likelihoods import DiscretizedLogistic, as_pixels

NO_BITS = (
    "no bits/dim: this decoder is trained by squared error and gives pixels no probability; one "
    "with config.tokenizer.likelihood=discretized_logistic does"
)


class Reconstruction(NamedTuple):
    """Reconstruction of a split by a tokenizer.

    Attributes:
        loss: see `Likelihood.loss`.
        squared_error: mean over images, pixels and channels, in squared units of [0, 1].
        squared_error_error: standard error of that mean, over images.
        decoder_bits_per_dim: bits of the decoder for a symbol, given the codes; None for a decoder
            that gives no probabilities.
        code_bits: bits of the codes of an image, all codes of a codebook equally likely.
        use: use of the codebooks of each level, the coarsest first.
        num_images: number of images.
        num_dims: number of symbols of an image.
        counts: number of times that each code of each level occurs.
        squared_errors: squared error of each image, in the order of the split.
        decoder_nats: nats of the decoder for each image, given the codes; None as above.
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
        """Upper bound on the bits per symbol of an image, codes included.

        The codes cost as much as under a uniform prior. A learned prior lowers that. The bound is
        None for a decoder that gives no probabilities.
        """
        if self.decoder_bits_per_dim is None:
            return None
        return self.decoder_bits_per_dim + self.code_bits / self.num_dims

    def metrics(self) -> dict[str, float]:
        """Return the values by name, for records."""
        metrics = {"loss": self.loss, "squared_error": self.squared_error, "psnr": self.psnr}
        if self.bits_per_dim is not None:
            metrics["bits_per_dim"] = self.bits_per_dim
        return metrics | metrics_of_levels(self.use)

    def words(self) -> str:
        """Return the values as text for people."""
        bits = "" if self.bits_per_dim is None else f", {self.bits_per_dim:.4f} bits/dim"
        return (
            f"MSE {self.squared_error:.5f} ({self.psnr:.2f} dB){bits}; {words_of_levels(self.use)}"
        )


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
    check: Check = go_on,
) -> Reconstruction:
    """Encode and decode every image of a split once.

    Args:
        model: the tokenizer.
        split: the images.
        symbols: conversion of the images to symbols.
        variance: variance of the training images' pixels, see `Likelihood.loss`.
        batch_size: number of images in a batch, on all devices together.
        mesh: the devices.
        check: called before each batch.

    Raises:
        InputError: if an image cannot be read.
    """
    errors, nats = [], []
    counts = [np.zeros((grid.channels, grid.levels), np.int64) for grid in model.code_grids]
    rows = rows_here(batch_size, mesh)
    for batch in evaluation_batches(split, symbols, batch_size=batch_size, rows=rows):
        check()
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
    """Compute the bits of the codes of an image, all codes of a codebook equally likely."""
    return sum(grid.size * math.log2(grid.levels) for grid in model.code_grids)

"""Perceptual similarity of originals and reconstructions: SSIM and LPIPS.

Legend: n images.
"""

from typing import Any, NamedTuple

import dm_pix
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64

from pixelprior import jitted
from pixelprior.data import Split, Symbols, evaluation_batches
from pixelprior.evaluation.lpips import has_lpips, lpips_distance
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.likelihoods import as_pixels

WINDOW = 11
"""Size of the windows that SSIM is averaged over, in pixels: smaller images have none."""


class Perception(NamedTuple):
    """Similarities of each image, in the order of the split.

    Attributes:
        ssim: structural similarity, up to 1; None for images that are smaller than its window.
        lpips: see `pixelprior.evaluation.lpips`, from 0 up. None if the package is not installed,
            or images are neither grey nor of three colours.
    """

    ssim: Float64[np.ndarray, " n"] | None
    lpips: Float64[np.ndarray, " n"] | None


def _reconstruct(model: VQVAE, x: Any) -> Any:
    pixels = as_pixels(jnp.asarray(x), model.grid)
    reconstructed = model.reconstruct(pixels)
    if min(model.grid.height, model.grid.width) < WINDOW:
        return pixels, reconstructed, None
    return pixels, reconstructed, dm_pix.ssim(pixels, reconstructed, filter_size=WINDOW)


def perception(model: VQVAE, split: Split, symbols: Symbols, *, batch_size: int) -> Perception:
    """Compare all images of a split with their reconstructions."""
    distance = lpips_distance() if has_lpips() and model.grid.channels in (1, 3) else None
    ssim, lpips = [], []
    for batch in evaluation_batches(split, symbols, batch_size=batch_size):
        pixels, reconstructed, similarity = jitted.call(_reconstruct, model, batch["image"])
        mask = batch["mask"]
        if similarity is not None:
            ssim.append(np.asarray(similarity, np.float64)[mask])
        if distance is not None:
            lpips.append(distance(pixels, reconstructed).astype(np.float64)[mask])
    return Perception(
        np.concatenate(ssim) if ssim else None, np.concatenate(lpips) if lpips else None
    )

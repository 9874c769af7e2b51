"""Exact autoregressive models of images and of discrete codes."""

from pixelprior.context import Context
from pixelprior.grid import Grid
from pixelprior.loading import load
from pixelprior.models import GatedPixelCNN, PixelCNN, PixelSNAIL, Transformer
from pixelprior.priors import Prior
from pixelprior.sampling import sample
from pixelprior.tokenizers import VQVAE, VQVAE2

__version__ = "0.1.0"
__all__ = [
    "Context",
    "GatedPixelCNN",
    "Grid",
    "PixelCNN",
    "PixelSNAIL",
    "Prior",
    "Transformer",
    "VQVAE",
    "VQVAE2",
    "load",
    "sample",
]

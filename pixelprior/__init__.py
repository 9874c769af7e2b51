"""Exact autoregressive models of images and of discrete codes."""

from pixelprior.context import Context
from pixelprior.grid import Grid
from pixelprior.loading import load
from pixelprior.models import (
    DiagonalBiLSTM,
    GatedPixelCNN,
    MultiScale,
    PixelCNN,
    PixelCNNPP,
    PixelSNAIL,
    RowLSTM,
    Transformer,
)
from pixelprior.priors import Prior
from pixelprior.sampling import sample
from pixelprior.tokenizers import VQVAE, VQVAE2

__version__ = "0.1.0"
__all__ = [
    "Context",
    "DiagonalBiLSTM",
    "GatedPixelCNN",
    "Grid",
    "MultiScale",
    "PixelCNN",
    "PixelCNNPP",
    "PixelSNAIL",
    "Prior",
    "RowLSTM",
    "Transformer",
    "VQVAE",
    "VQVAE2",
    "load",
    "sample",
]

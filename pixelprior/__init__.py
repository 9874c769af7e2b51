"""Exact autoregressive models of images and of discrete codes."""

from pixelprior.context import Context
from pixelprior.grid import Grid
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
from pixelprior.prior import Prior
from pixelprior.runs.load import load
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

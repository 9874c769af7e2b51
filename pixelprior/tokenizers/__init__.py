"""Tokenizers turn images into maps of codes, and back; `TOKENIZERS` names them for configs."""

from pixelprior.tokenizers.finite_scalar_quantizer import FiniteScalarQuantizer
from pixelprior.tokenizers.vector_quantizer import VectorQuantizer
from pixelprior.tokenizers.vqvae import VQVAE, VQVAE2

TOKENIZERS = {"vqvae": VQVAE, "vqvae2": VQVAE2}

__all__ = ["TOKENIZERS", "VQVAE", "VQVAE2", "FiniteScalarQuantizer", "VectorQuantizer"]

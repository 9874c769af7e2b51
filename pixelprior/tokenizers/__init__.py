"""Tokenizers: images to maps of discrete codes, and back; `TOKENIZERS` names them for configs."""

from pixelprior.tokenizers.vqvae import VQVAE, VQVAE2

TOKENIZERS = {"vqvae": VQVAE, "vqvae2": VQVAE2}

__all__ = ["TOKENIZERS", "VQVAE", "VQVAE2"]

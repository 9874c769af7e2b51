"""Priors: exact distributions over a tokenizer's codes, level by level."""

from pixelprior.priors.prior import Prior

__all__ = ["Prior"]

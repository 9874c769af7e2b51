"""The three tasks: a pixel model, a tokenizer, and a prior over its codes."""

from pixelprior.training.tasks.pixels import PixelTask
from pixelprior.training.tasks.prior import PriorTask
from pixelprior.training.tasks.tokenizer import TokenizerTask

__all__ = ["PixelTask", "PriorTask", "TokenizerTask"]

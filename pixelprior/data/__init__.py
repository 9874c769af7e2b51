"""Data: images by name, as symbols, in batches. NumPy and Grain only."""

from pixelprior.data.catalogue import open_dataset
from pixelprior.data.dataset import Dataset, Split
from pixelprior.data.errors import DataError
from pixelprior.data.pipeline import (
    Batch,
    EvaluationBatch,
    evaluation_batches,
    training_batch,
    training_batches,
)
from pixelprior.data.symbols import Binarisation, Symbols, to_pixels

__all__ = [
    "Batch",
    "Binarisation",
    "DataError",
    "Dataset",
    "EvaluationBatch",
    "Split",
    "Symbols",
    "evaluation_batches",
    "open_dataset",
    "to_pixels",
    "training_batch",
    "training_batches",
]

"""Images by name, as symbols or as codes of a tokenizer, in batches. Needs NumPy and Grain only."""

from pixelprior.data.catalogue import open_dataset
from pixelprior.data.codes.arrays import codes_in_memory
from pixelprior.data.codes.batches import (
    CodeBatch,
    EvaluationCodeBatch,
    evaluation_code_batches,
    training_code_batch,
    training_code_batches,
)
from pixelprior.data.codes.code_set import CodeFacts, CodeSet, CodeSplit, open_codes
from pixelprior.data.codes.writer import codes_of, write_codes
from pixelprior.data.dataset import Dataset, Split
from pixelprior.data.errors import DataError
from pixelprior.data.order import START, Position
from pixelprior.data.pipeline import (
    Batch,
    EvaluationBatch,
    evaluation_batches,
    training_batch,
    training_batches,
)
from pixelprior.data.symbols import Binarisation, Symbols, to_pixels

__all__ = [
    "START",
    "Batch",
    "Binarisation",
    "CodeBatch",
    "CodeFacts",
    "CodeSet",
    "CodeSplit",
    "DataError",
    "Dataset",
    "EvaluationBatch",
    "EvaluationCodeBatch",
    "Position",
    "Split",
    "Symbols",
    "codes_in_memory",
    "codes_of",
    "evaluation_batches",
    "evaluation_code_batches",
    "open_codes",
    "open_dataset",
    "to_pixels",
    "training_batch",
    "training_batches",
    "training_code_batch",
    "training_code_batches",
    "write_codes",
]

"""Exact autoregressive models of images and of discrete codes.

    import pixelprior as pp

Public names are loaded on first use. Importing the package is therefore fast and changes no
settings.
"""

from typing import TYPE_CHECKING

from pixelprior.lazy_names import lazy_names

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pixelprior.context import Context
    from pixelprior.errors import InputError
    from pixelprior.grid import Grid
    from pixelprior.models import (
        MADE,
        NADE,
        AnyOrderTransformer,
        DiagonalBiLSTM,
        GatedPixelCNN,
        MultiScale,
        PixelCNN,
        PixelCNNPP,
        PixelSNAIL,
        RowLSTM,
        Transformer,
    )
    from pixelprior.models.guided import guided
    from pixelprior.prior import Prior
    from pixelprior.runs.fit import fit
    from pixelprior.runs.load import load, load_trained
    from pixelprior.runs.run import Run
    from pixelprior.sampling.known import UNKNOWN
    from pixelprior.sampling.strategies import Greedy, MinP, Temperature, TopK, TopP
    from pixelprior.tokenizers import VQVAE, VQVAE2, FiniteScalarQuantizer, VectorQuantizer
    from pixelprior.verbs.codes import decode, encode, reconstruct
    from pixelprior.verbs.compress import compress, decompress
    from pixelprior.verbs.distribution import log_prob, sample, sample_rows
    from pixelprior.verbs.evaluate import evaluate
    from pixelprior.verbs.export import export
    from pixelprior.verbs.show import show

_MODULES = {
    "AnyOrderTransformer": "pixelprior.models",
    "Context": "pixelprior.context",
    "DiagonalBiLSTM": "pixelprior.models",
    "FiniteScalarQuantizer": "pixelprior.tokenizers",
    "GatedPixelCNN": "pixelprior.models",
    "Greedy": "pixelprior.sampling.strategies",
    "Grid": "pixelprior.grid",
    "InputError": "pixelprior.errors",
    "MADE": "pixelprior.models",
    "MinP": "pixelprior.sampling.strategies",
    "MultiScale": "pixelprior.models",
    "NADE": "pixelprior.models",
    "PixelCNN": "pixelprior.models",
    "PixelCNNPP": "pixelprior.models",
    "PixelSNAIL": "pixelprior.models",
    "Prior": "pixelprior.prior",
    "RowLSTM": "pixelprior.models",
    "Run": "pixelprior.runs.run",
    "Temperature": "pixelprior.sampling.strategies",
    "TopK": "pixelprior.sampling.strategies",
    "TopP": "pixelprior.sampling.strategies",
    "Transformer": "pixelprior.models",
    "UNKNOWN": "pixelprior.sampling.known",
    "VQVAE": "pixelprior.tokenizers",
    "VQVAE2": "pixelprior.tokenizers",
    "VectorQuantizer": "pixelprior.tokenizers",
    "compress": "pixelprior.verbs.compress",
    "decode": "pixelprior.verbs.codes",
    "decompress": "pixelprior.verbs.compress",
    "encode": "pixelprior.verbs.codes",
    "evaluate": "pixelprior.verbs.evaluate",
    "export": "pixelprior.verbs.export",
    "fit": "pixelprior.runs.fit",
    "guided": "pixelprior.models.guided",
    "load": "pixelprior.runs.load",
    "load_trained": "pixelprior.runs.load",
    "log_prob": "pixelprior.verbs.distribution",
    "reconstruct": "pixelprior.verbs.codes",
    "sample": "pixelprior.verbs.distribution",
    "sample_rows": "pixelprior.verbs.distribution",
    "show": "pixelprior.verbs.show",
}

__all__ = [
    "AnyOrderTransformer",
    "Context",
    "DiagonalBiLSTM",
    "FiniteScalarQuantizer",
    "GatedPixelCNN",
    "Greedy",
    "Grid",
    "InputError",
    "MADE",
    "MinP",
    "MultiScale",
    "NADE",
    "PixelCNN",
    "PixelCNNPP",
    "PixelSNAIL",
    "Prior",
    "RowLSTM",
    "Run",
    "Temperature",
    "TopK",
    "TopP",
    "Transformer",
    "UNKNOWN",
    "VQVAE",
    "VQVAE2",
    "VectorQuantizer",
    "compress",
    "decode",
    "decompress",
    "encode",
    "evaluate",
    "export",
    "fit",
    "guided",
    "load",
    "load_trained",
    "log_prob",
    "reconstruct",
    "sample",
    "sample_rows",
    "show",
]


__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Models, one file per paper; `MODELS` maps the names in configs to classes."""

from pixelprior.models.any_order_transformer import AnyOrderTransformer
from pixelprior.models.base import AutoregressiveModel, GridModel
from pixelprior.models.diagonal_bilstm import DiagonalBiLSTM
from pixelprior.models.gated_pixel_cnn import GatedPixelCNN
from pixelprior.models.made import MADE
from pixelprior.models.multi_scale import MultiScale
from pixelprior.models.nade import NADE
from pixelprior.models.pixel_cnn import PixelCNN
from pixelprior.models.pixel_cnn_pp import PixelCNNPP
from pixelprior.models.pixel_snail import PixelSNAIL
from pixelprior.models.row_lstm import RowLSTM
from pixelprior.models.transformer import Transformer

MODELS: dict[str, type[GridModel]] = {
    "pixel_cnn": PixelCNN,
    "gated_pixel_cnn": GatedPixelCNN,
    "pixel_cnn_pp": PixelCNNPP,
    "row_lstm": RowLSTM,
    "diagonal_bilstm": DiagonalBiLSTM,
    "pixel_snail": PixelSNAIL,
    "transformer": Transformer,
    "multi_scale": MultiScale,
    "any_order_transformer": AnyOrderTransformer,
    "made": MADE,
    "nade": NADE,
}

__all__ = [
    "MADE",
    "MODELS",
    "NADE",
    "AnyOrderTransformer",
    "AutoregressiveModel",
    "DiagonalBiLSTM",
    "GatedPixelCNN",
    "GridModel",
    "MultiScale",
    "PixelCNN",
    "PixelCNNPP",
    "PixelSNAIL",
    "RowLSTM",
    "Transformer",
]

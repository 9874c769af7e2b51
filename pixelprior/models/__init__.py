"""The models, one file per paper; `MODELS` names them for configs."""

from pixelprior.models.base import AutoregressiveModel
from pixelprior.models.gated_pixel_cnn import GatedPixelCNN
from pixelprior.models.pixel_cnn import PixelCNN
from pixelprior.models.pixel_snail import PixelSNAIL
from pixelprior.models.transformer import Transformer

MODELS: dict[str, type[AutoregressiveModel]] = {
    "pixel_cnn": PixelCNN,
    "gated_pixel_cnn": GatedPixelCNN,
    "pixel_snail": PixelSNAIL,
    "transformer": Transformer,
}

__all__ = ["MODELS", "AutoregressiveModel", "GatedPixelCNN", "PixelCNN", "PixelSNAIL", "Transformer"]

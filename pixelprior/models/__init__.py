"""The models, one file per paper; `MODELS` names them for configs."""

from pixelprior.models.base import AutoregressiveModel
from pixelprior.models.gated_pixel_cnn import GatedPixelCNN
from pixelprior.models.pixel_cnn import PixelCNN

MODELS: dict[str, type[AutoregressiveModel]] = {
    "pixel_cnn": PixelCNN,
    "gated_pixel_cnn": GatedPixelCNN,
}

__all__ = ["MODELS", "AutoregressiveModel", "GatedPixelCNN", "PixelCNN"]

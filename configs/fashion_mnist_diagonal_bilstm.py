r"""Diagonal BiLSTM on Fashion-MNIST: configs/fashion_mnist.py with another model.

    python train.py --config=configs/fashion_mnist_diagonal_bilstm.py \
        --workdir=runs/fashion_mnist_diagonal_bilstm

Source: van den Oord et al. 2016a, section 3.2. A starting point that was checked, not trained to
its end.
"""

from ml_collections import ConfigDict

from configs import fashion_mnist, mnist_diagonal_bilstm


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = fashion_mnist.get_config()
    config.model = mnist_diagonal_bilstm.get_config().model
    config.model.embedding_features = 16
    config.model.head_features = 96
    config.model.dropout_rate = 0.1
    return config

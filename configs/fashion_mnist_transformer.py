r"""Transformer on Fashion-MNIST: configs/fashion_mnist.py with another model.

    python train.py --config=configs/fashion_mnist_transformer.py \
        --workdir=runs/fashion_mnist_transformer

Measured: 1.234 bits/dim (670.8 nats) on the test split after 180 steps of 16 images, 2.3 minutes on
2 CPU cores, by configs/compare_fashion_mnist.py; not trained for as long as it says here. Source:
Vaswani et al. 2017; Parmar et al. 2018.
"""

from ml_collections import ConfigDict

from pixelprior.configs import fashion_mnist, mnist_transformer


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = fashion_mnist.get_config()
    config.model = mnist_transformer.get_config().model
    config.model.embedding_features = 16
    config.model.head_features = 96
    config.model.dropout_rate = 0.1
    return config

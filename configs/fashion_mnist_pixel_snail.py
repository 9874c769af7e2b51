r"""PixelSNAIL on Fashion-MNIST: configs/fashion_mnist.py with another model.

    python train.py --config=configs/fashion_mnist_pixel_snail.py \
        --workdir=runs/fashion_mnist_pixel_snail

Measured: 1.215 bits/dim (660.2 nats) on the test split after 180 steps of 16 images, 2.4 minutes on
2 CPU cores, by configs/compare_fashion_mnist.py; not trained for as long as it says here. Source:
Chen et al. 2018.
"""

from ml_collections import ConfigDict

from pixelprior.configs import fashion_mnist, mnist_pixel_snail


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = fashion_mnist.get_config()
    config.model = mnist_pixel_snail.get_config().model
    config.model.embedding_features = 16
    config.model.head_features = 96
    config.model.dropout_rate = 0.1
    return config

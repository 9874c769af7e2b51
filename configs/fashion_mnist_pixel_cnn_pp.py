r"""PixelCNN++ on Fashion-MNIST: configs/fashion_mnist.py with another model.

    python train.py --config=configs/fashion_mnist_pixel_cnn_pp.py \
        --workdir=runs/fashion_mnist_pixel_cnn_pp

Measured: 1.111 bits/dim (603.9 nats) on the test split after 400 steps of 16 images, 2.2 minutes on
2 CPU cores, by configs/compare_fashion_mnist.py; not trained for as long as it says here. Source:
Salimans et al. 2017.
"""

from ml_collections import ConfigDict

from pixelprior.configs import fashion_mnist, mnist_pixel_cnn_pp


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = fashion_mnist.get_config()
    config.model = mnist_pixel_cnn_pp.get_config().model
    config.model.embedding_features = 16
    config.model.head_features = 96
    config.model.head = "logistic_mixture"
    config.model.dropout_rate = 0.1
    return config

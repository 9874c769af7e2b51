r"""PixelCNN on Fashion-MNIST: configs/fashion_mnist.py with another model.

    python train.py --config=configs/fashion_mnist_pixel_cnn.py \
        --workdir=runs/fashion_mnist_pixel_cnn

Measured: 1.086 bits/dim (590.2 nats) on the test split after 400 steps of 16 images, 2.1 minutes on
2 CPU cores, by configs/compare_fashion_mnist.py; not trained for as long as it says here. Source:
van den Oord et al. 2016a, figure 5.
"""

from ml_collections import ConfigDict

from pixelprior.configs import fashion_mnist, mnist_pixel_cnn


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = fashion_mnist.get_config()
    config.model = mnist_pixel_cnn.get_config().model
    config.model.embedding_features = 16
    config.model.head_features = 96
    config.model.dropout_rate = 0.1
    return config

"""VQ-VAE-2 on MNIST: as configs/fashion_mnist_vqvae2.py, 7x7 and 14x14 codes.

    python train.py --config=configs/mnist_vqvae2.py --workdir=runs/mnist_vqvae2

A starting point that was checked but not trained to its end; nothing is claimed for it.
"""

from ml_collections import ConfigDict

from pixelprior.configs import fashion_mnist_vqvae2


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = fashion_mnist_vqvae2.get_config()
    config.dataset = "mnist"
    return config

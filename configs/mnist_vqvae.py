"""VQ-VAE on MNIST: as configs/fashion_mnist_vqvae.py, 28x28 images to 7x7 codes.

    python train.py --config=configs/mnist_vqvae.py --workdir=runs/mnist_vqvae

A starting point that was checked but not trained to its end; nothing is claimed for it.
"""

from ml_collections import ConfigDict

from pixelprior.configs import fashion_mnist_vqvae


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = fashion_mnist_vqvae.get_config()
    config.dataset = "mnist"
    return config

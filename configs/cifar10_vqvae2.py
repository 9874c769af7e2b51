"""VQ-VAE-2: as configs/cifar10_vqvae.py, but with 4x4 and 8x8 codes.

    python train.py --config=configs/cifar10_vqvae2.py --workdir=runs/cifar10_vqvae2

A starting point that was checked but not trained to its end; nothing is claimed for it.
"""

from ml_collections import ConfigDict

from pixelprior.configs import cifar10_vqvae


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = cifar10_vqvae.get_config()
    config.tokenizer.name = "vqvae2"
    # The finest level first: the bottom codes, then the top ones.
    config.tokenizer.strides = (4, 2)
    return config

r"""As configs/fashion_mnist_prior.py, over the codes of configs/mnist_vqvae.py.

    python train.py --config=configs/mnist_prior.py --workdir=runs/mnist_prior \
        --tokenizer=runs/mnist_vqvae

A starting point that was checked but not trained to its end; nothing is claimed for it.
"""

from ml_collections import ConfigDict

from pixelprior.configs import fashion_mnist_prior


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    return fashion_mnist_prior.get_config()

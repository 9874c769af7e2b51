r"""As configs/fashion_mnist_prior2.py, over the codes of configs/mnist_vqvae2.py.

    python train.py --config=configs/mnist_prior2.py --workdir=runs/mnist_prior2 \
        --tokenizer=runs/mnist_vqvae2

A starting point that was checked but not trained to its end; nothing is claimed for it.
"""

from ml_collections import ConfigDict

from pixelprior.configs import fashion_mnist_prior2


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    return fashion_mnist_prior2.get_config()

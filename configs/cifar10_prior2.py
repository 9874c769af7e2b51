r"""P(top) P(bottom | top): as configs/cifar10_prior.py, but over the codes of a VQ-VAE-2.

    python train.py --config=configs/cifar10_prior2.py --workdir=runs/cifar10_prior2 \
        --tokenizer=runs/cifar10_vqvae2

A starting point that was checked but not trained to its end; nothing is claimed for it.
"""

from ml_collections import ConfigDict

from pixelprior.configs import cifar10_prior


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = cifar10_prior.get_config()
    # The models of both levels are alike; each can be set by itself.
    config.models.bottom = config.models.top.copy_and_resolve_references()
    config.trained_levels = ("top", "bottom")
    return config

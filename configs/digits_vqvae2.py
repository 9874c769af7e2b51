"""VQ-VAE-2: as configs/digits_vqvae.py, but with 2x2 and 4x4 codes.

python train.py --config=configs/digits_vqvae2.py --workdir=runs/digits_vqvae2
"""

from ml_collections import ConfigDict

from pixelprior.configs import digits_vqvae


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = digits_vqvae.get_config()
    config.tokenizer.name = "vqvae2"
    # The finest level first: the bottom codes, then the top ones.
    config.tokenizer.strides = (2, 2)
    return config

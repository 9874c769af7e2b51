r"""P(top) P(bottom | top): as configs/digits_prior.py, but over the codes of a VQ-VAE-2.

python train.py --config=configs/digits_prior2.py --workdir=runs/digits_prior2 \
    --tokenizer=runs/digits_vqvae2
"""

from ml_collections import ConfigDict

from pixelprior.configs import digits_prior


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = digits_prior.get_config()
    # The models of both levels are alike; each can be set by itself.
    config.models.bottom = config.models.top.copy_and_resolve_references()
    config.trained_levels = ("top", "bottom")
    return config

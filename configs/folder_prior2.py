r"""As configs/celeb_a_prior2.py, over the codes of configs/folder_vqvae2.py.

    python train.py --config=configs/folder_prior2.py --workdir=runs/folder_prior2 \
        --tokenizer=runs/folder_vqvae2

With sub-folders, ``--config.class_conditional=True`` makes one class of each. A starting point that
was checked but not trained to its end; nothing is claimed for it.
"""

from ml_collections import ConfigDict

from pixelprior.configs import celeb_a_prior2


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    return celeb_a_prior2.get_config()

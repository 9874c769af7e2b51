r"""VQ-VAE on a folder of images: as configs/celeb_a_vqvae.py.

    python train.py --config=configs/folder_vqvae.py --workdir=runs/folder_vqvae \
        --config.dataset=folder:/path

Images are resized to cover ``image_size`` and cropped at their centre. A starting
point that was checked but not trained to its end; nothing is claimed for it.
"""

from ml_collections import ConfigDict

from pixelprior.configs import celeb_a_vqvae


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = celeb_a_vqvae.get_config()
    config.dataset = "folder:images"
    return config

r"""A folder of your own images, cropped to one size; sub-folders are classes.

    python train.py --config=configs/folder.py --config.dataset=folder:/my/images --workdir=runs/my
    python train.py --config=configs/folder.py:vqvae --config.dataset=folder:/my/images \
        --workdir=runs/my_vqvae
    python train.py --config=configs/folder.py:prior --workdir=runs/my_prior \
        --tokenizer=runs/my_vqvae

Images are resized to cover ``image_size`` and cropped at their centre. Change the size with
``--config.image_size="(64, 48)"``. With ``--config.class_conditional=True``, each sub-folder is a
class. These configs are starting points. The best training time and the results depend on the
images. Sources: van den Oord et al. 2016b for pixels, 2017 for codes; Razavi et al. 2019 for vqvae2
and prior2.
"""

from ml_collections import ConfigDict

from pixelprior.configs import celeb_a, common
from pixelprior.experiment.recipes import Variant, resolve

IMAGES = {"dataset": "folder:images"}

VARIANTS = {
    "": Variant(
        "Gated PixelCNN, 32x32 pixels in 5-bit colour",
        common.pixels(
            common.network(
                "gated_pixel_cnn", features=64, num_layers=6, head_features=128, dropout_rate=0.1
            ),
            **IMAGES,
            image_size=(32, 32),
            levels=32,
            batch_size=32,
            num_steps=10_000,
            learning_rate=1e-3,
            warmup_steps=500,
            ema_decay=0.999,
            checkpoint_every=500,
            sample_every=500,
        ),
    ),
    "vqvae": Variant("VQ-VAE, as celeb_a:vqvae", celeb_a.VQVAE | IMAGES),
    "vqvae2": Variant("VQ-VAE-2, as celeb_a:vqvae2", celeb_a.VQVAE2 | IMAGES),
    "prior": Variant("As celeb_a:prior, over the codes of folder:vqvae", celeb_a.PRIOR),
    "prior2": Variant("As celeb_a:prior2, over the codes of folder:vqvae2", celeb_a.PRIOR2),
}


def get_config(variant: str = "") -> ConfigDict:
    """Return the config of a variant.

    `TASKS` in ``pixelprior/experiment/schema.py`` describes the keys.
    """
    return resolve(VARIANTS, variant)

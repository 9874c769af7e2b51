r"""CelebA, resized to 64x64 pixels in 8-bit colour: tokenizers and priors, no pixel models.

    python train.py --config=configs/celeb_a.py:vqvae --workdir=runs/celeb_a_vqvae
    python train.py --config=configs/celeb_a.py:prior --workdir=runs/celeb_a_prior \
        --tokenizer=runs/celeb_a_vqvae

Sources: van den Oord et al. 2017; Razavi et al. 2019 for vqvae2 and prior2. There are no results.
"""

from ml_collections import ConfigDict

from pixelprior.configs import cifar10, common
from pixelprior.experiment.recipes import Variant, resolve

LONGER = {"num_steps": 40_000}

VQVAE = cifar10.VQVAE | {"dataset": "celeb_a", "image_size": (64, 64)} | LONGER
VQVAE2 = common.two_levels(VQVAE, strides=(4, 2))
PRIOR = (
    cifar10.PRIOR
    | LONGER
    | {
        "models": {"top": cifar10.PRIOR["models"]["top"] | {"num_layers": 12}},
        "class_conditional": False,
    }
)
PRIOR2 = common.prior_of_two(PRIOR)

VARIANTS = {
    "vqvae": Variant("VQ-VAE: 64x64 images to 16x16 codes", VQVAE),
    "vqvae2": Variant("VQ-VAE-2: to 8x8 and 16x16 codes", VQVAE2),
    "prior": Variant("A Gated PixelCNN over the codes of celeb_a:vqvae", PRIOR),
    "prior2": Variant(
        "P(top) P(bottom | top): as celeb_a:prior, over the codes of celeb_a:vqvae2", PRIOR2
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """Return the config of a variant.

    `TASKS` in ``pixelprior/experiment/schema.py`` describes the keys.
    """
    return resolve(VARIANTS, variant)

r"""scikit-learn's handwritten digits, 8x8 pixels in 17 shades; they need no download.

    python train.py --config=configs/digits.py:class_conditional --workdir=runs/digits
    python train.py --config=configs/digits.py --workdir=runs/plain_digits
    python train.py --config=configs/digits.py:pixel_snail --workdir=runs/digits_pixel_snail
    python train.py --config=configs/digits.py:vqvae --workdir=runs/digits_vqvae
    python train.py --config=configs/digits.py:prior --workdir=runs/digits_prior \
        --tokenizer=runs/digits_vqvae

The first command trains a Gated PixelCNN (van den Oord et al. 2016b) that draws digits of a class.
It takes about a minute on 2 CPU cores. The second command trains one without classes. It reaches
1.71 bits/dim (75.9 nats) on the test split, and the first one 1.68 (74.4 nats). The variants vqvae2
and prior2 have two levels of codes, vqvae and prior have one. Each variant lists its own result.
"""

from typing import Any

from ml_collections import ConfigDict

from pixelprior.configs import common
from pixelprior.experiment.recipes import Variant, resolve

IMAGES = {"dataset": "digits", "levels": 17}
TRAINING = {"warmup_steps": 50, "log_every": 20, "ema_decay": 0.995}
CODES = TRAINING | {"num_steps": 1000, "checkpoint_every": 250, "sample_every": 500}


# With so few images a model overfits. Turned images and weight decay help more than dropout.
PIXELS = TRAINING | {
    "batch_size": 16,
    "num_steps": 2400,
    "weight_decay": 0.3,
    "ema_decay": 0.998,
    "distribution_augmentation": 0.45,
    "log_every": 80,
    "checkpoint_every": 600,
    "sample_every": 1200,
}
# Hiding some classes allows guidance, and images without a class.
CLASSES = PIXELS | {"class_conditional": True, "label_dropout": 0.1}
# The orders of an any-order model are an augmentation too. They take more steps than one.
ANY_ORDER = TRAINING | {
    "optimizer": "muon",
    "weight_decay": 1e-2,
    "learning_rate": 3e-3,
    "num_steps": 1000,
    "checkpoint_every": 250,
    "sample_every": 500,
}


def _pixels(
    name: str,
    measured: str,
    training: common.Config = PIXELS,
    *,
    title: str = "",
    **settings: Any,
) -> Variant:
    network = common.network(name, **{"dropout_rate": 0.1} | settings)
    config = common.pixels(network, **IMAGES, **training)
    return Variant(title or common.TITLES[name], config, measured, common.SOURCES[name])


VQVAE = common.tokenizer(
    common.vqvae(strides=(2,), features=32, residual_features=16, num_residual_blocks=1),
    common.vector_quantizer(features=16, codebook_size=64, dead_share=0.1),
    **IMAGES,
    **CODES | {"ema_decay": 0.99},
)
PRIOR = common.prior(
    common.network(
        "gated_pixel_cnn", features=48, num_layers=4, first_kernel_size=5, dropout_rate=0.3
    ),
    {"features": 32, "num_blocks": 1},
    **CODES,
)

VARIANTS = {
    "": _pixels(
        "gated_pixel_cnn",
        "1.711 bits/dim (75.91 nats) on the test split after about a minute on 2 CPU cores",
        features=48,
        num_layers=4,
    ),
    "class_conditional": _pixels(
        "gated_pixel_cnn",
        "1.677 bits/dim (74.40 nats) on the test split without classes, and 1.626 (72.14 nats) "
        "given the class of each image, after about a minute on 2 CPU cores",
        CLASSES,
        title="Gated PixelCNN conditioned on classes",
        features=48,
        num_layers=4,
    ),
    "pixel_cnn": _pixels(
        "pixel_cnn",
        "1.778 bits/dim (78.86 nats) on the test split",
        features=40,
        num_layers=4,
    ),
    "row_lstm": _pixels(
        "row_lstm",
        "1.732 bits/dim (76.82 nats) on the test split",
        features=40,
        num_layers=4,
    ),
    "diagonal_bilstm": _pixels(
        "diagonal_bilstm",
        "1.740 bits/dim (77.17 nats) on the test split",
        features=32,
        num_layers=4,
    ),
    "pixel_cnn_pp": _pixels(
        "pixel_cnn_pp",
        "1.717 bits/dim (76.16 nats) on the test split",
        features=24,
        num_blocks=1,
        num_scales=2,
        head="logistic_mixture",
        num_mixtures=5,
    ),
    "pixel_snail": _pixels(
        "pixel_snail",
        "1.734 bits/dim (76.93 nats) on the test split",
        features=48,
        num_layers=2,
        num_residuals=2,
        num_heads=4,
    ),
    "transformer": _pixels(
        "transformer",
        "1.737 bits/dim (77.07 nats) on the test split",
        features=64,
        num_layers=4,
        num_heads=4,
    ),
    "any_order": _pixels(
        "any_order_transformer",
        "1.948 bits/dim (86.41 nats) on the test split, averaged over random orders, and 77.08 "
        "nats in raster order, after about 3 minutes on 2 CPU cores",
        ANY_ORDER,
        features=64,
        num_layers=4,
        num_heads=4,
    ),
    "multi_scale": _pixels(
        "multi_scale",
        "1.743 bits/dim (77.30 nats) on the test split",
        features=32,
        num_layers=3,
        context_num_blocks=1,
    ),
    "vqvae": Variant(
        "VQ-VAE: 8x8 images to 4x4 codes",
        VQVAE,
        "test MSE 0.0071 (PCA with as many bits: 0.0032)",
        "van den Oord et al. 2017",
    ),
    "vqvae2": Variant(
        "VQ-VAE-2: to 2x2 and 4x4 codes",
        common.two_levels(VQVAE, strides=(2, 2)),
        "test MSE 0.0047 (PCA with as many bits: 0.0019). All codes of both levels are used",
        "Razavi et al. 2019",
    ),
    "prior": Variant(
        "A class-conditional Gated PixelCNN over the codes of digits:vqvae",
        PRIOR,
        "3.205 bits per code on the test split (entropy of the codes: 5.888)",
        "van den Oord et al. 2017",
    ),
    "prior2": Variant(
        "P(top) P(bottom | top): as digits:prior, over the codes of digits:vqvae2",
        common.prior_of_two(PRIOR),
        "3.351 bits per top code and 4.147 per bottom code on the test split (entropies of the "
        "codes: 5.830 and 5.878)",
        "Razavi et al. 2019",
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """Return the config of a variant.

    `TASKS` in ``pixelprior/experiment/schema.py`` describes the keys.
    """
    return resolve(VARIANTS, variant)

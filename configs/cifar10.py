r"""CIFAR-10, 32x32 pixels in 8-bit colour: networks for an accelerator.

    python train.py --config=configs/cifar10.py --workdir=runs/cifar10
    python train.py --config=configs/cifar10.py:pixel_snail --workdir=runs/cifar10_pixel_snail
    python train.py --config=configs/cifar10.py:vqvae --workdir=runs/cifar10_vqvae
    python train.py --config=configs/cifar10.py:prior --workdir=runs/cifar10_prior \
        --tokenizer=runs/cifar10_vqvae

TFDS must have prepared CIFAR-10; see the README. The first command trains a Gated PixelCNN (van den
Oord et al. 2016b, table 1: 3.03 bits/dim). No network was trained at the size in this file. The
results are those of small networks with a few hundred thousand parameters, from compare:cifar10.
Bits/dim on a copy of the data with JPEG compression are not comparable with published values.
"""

from typing import Any

from ml_collections import ConfigDict

from pixelprior.configs import common
from pixelprior.experiment.recipes import Variant, resolve

ACCELERATOR = {"head": "logistic_mixture", "dtype": "bfloat16", "remat": True}
IMAGES = {"dataset": "cifar10", "flip": True}
_LARGE_HEAD = {"embedding_features": 32, "head_features": 256}
CODES = {
    "num_steps": 20_000,
    "learning_rate": 1e-3,
    "ema_decay": 0.999,
    "checkpoint_every": 2000,
    "sample_every": 2000,
}


def _pixels(
    name: str, bits: float, steps: int, minutes: float, source: str, **settings: Any
) -> Variant:
    """A pixel model. Its result comes from a small network, after ``steps`` and ``minutes``."""
    measured = (
        f"{bits} bits/dim on the test split, by a small network of compare:cifar10. It took "
        f"{steps} steps of 16 images, {minutes} minutes on 2 CPU cores. No network of this size "
        "was trained"
    )
    config = common.pixels(
        common.network(name, **_LARGE_HEAD | {"dropout_rate": 0.1} | settings),
        **IMAGES,
        num_steps=100_000,
        learning_rate=1e-3,
        warmup_steps=2000,
        ema_decay=0.9995,
        checkpoint_every=5000,
        sample_every=5000,
    )
    return Variant(common.TITLES[name], config, measured, common.SOURCES[name] + source)


def _known(bits: str) -> str:
    return f". A far larger one, trained for longer, is known to reach {bits} bits/dim"


VQVAE = common.tokenizer(
    common.vqvae(strides=(4,), features=128),
    common.vector_quantizer(features=64, codebook_size=512),
    **IMAGES,
    **CODES,
    num_samples=32,
)
PRIOR = common.prior(
    common.network("gated_pixel_cnn", **_LARGE_HEAD, features=128, num_layers=10, dropout_rate=0.2),
    {"features": 128, "num_blocks": 2},
    **CODES,
)

VARIANTS = {
    "": _pixels(
        "gated_pixel_cnn", 4.569, 260, 2.0, ", table 1: 3.03 bits/dim", features=128, num_layers=12
    ),
    "pixel_cnn": _pixels(
        "pixel_cnn", 4.373, 300, 2.2, _known("3.14"), **ACCELERATOR, features=128, num_layers=15
    ),
    "row_lstm": _pixels(
        "row_lstm", 4.473, 300, 2.4, _known("3.07"), **ACCELERATOR, features=128, num_layers=12
    ),
    "diagonal_bilstm": _pixels(
        "diagonal_bilstm",
        5.098,
        120,
        2.2,
        _known("3.00"),
        **ACCELERATOR,
        features=128,
        num_layers=12,
    ),
    "pixel_cnn_pp": _pixels(
        "pixel_cnn_pp",
        4.274,
        320,
        2.5,
        _known("2.92"),
        **ACCELERATOR,
        features=160,
        num_blocks=5,
        num_scales=3,
        dropout_rate=0.5,
    ),
    "pixel_snail": _pixels(
        "pixel_snail",
        5.117,
        140,
        2.5,
        _known("2.85"),
        **ACCELERATOR,
        features=256,
        num_layers=12,
        num_residuals=4,
        num_heads=8,
    ),
    "transformer": _pixels(
        "transformer",
        5.248,
        140,
        2.2,
        _known("2.90 (Image Transformer)"),
        **ACCELERATOR,
        features=512,
        num_layers=12,
        num_heads=8,
    ),
    "multi_scale": _pixels(
        "multi_scale", 4.289, 480, 2.7, "", **ACCELERATOR, features=128, num_layers=12
    ),
    "vqvae": Variant("VQ-VAE: 32x32 images to 8x8 codes", VQVAE),
    "vqvae2": Variant("VQ-VAE-2: to 4x4 and 8x8 codes", common.two_levels(VQVAE, strides=(4, 2))),
    "prior": Variant("A class-conditional Gated PixelCNN over the codes of cifar10:vqvae", PRIOR),
    "prior2": Variant(
        "P(top) P(bottom | top): as cifar10:prior, over the codes of cifar10:vqvae2",
        common.prior_of_two(PRIOR),
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """Return the config of a variant.

    `TASKS` in ``pixelprior/experiment/schema.py`` describes the keys.
    """
    return resolve(VARIANTS, variant)

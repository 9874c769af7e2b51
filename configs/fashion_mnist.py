r"""Fashion-MNIST, 28x28 pixels; pixel models are class-conditional, with 16 values (4 bits).

    python train.py --config=configs/fashion_mnist.py --workdir=runs/fashion_mnist
    python train.py --config=configs/fashion_mnist.py:vqvae --workdir=runs/fashion_mnist_vqvae
    python train.py --config=configs/fashion_mnist.py:prior --workdir=runs/fashion_mnist_prior \
        --tokenizer=runs/fashion_mnist_vqvae

TFDS must have prepared Fashion-MNIST; see the README. The first command trains a Gated PixelCNN
(van den Oord et al. 2016b) for 1,500 steps. It reached 1.007 bits/dim (547.2 nats) on the test
split. Variants whose names begin with prior2 model the codes of vqvae2. The other priors model the
codes of vqvae.
"""

from typing import Any

from ml_collections import ConfigDict

from pixelprior.configs import common
from pixelprior.experiment.recipes import Variant, resolve


def _config(name: str, **settings: Any) -> common.Config:
    """Config of a pixel model."""
    return common.pixels(
        common.network(name, **common.SMALL[name] | {"dropout_rate": 0.1} | settings),
        dataset="fashion_mnist",
        levels=16,
        class_conditional=True,
        label_dropout=0.1,
        batch_size=32,
        num_steps=1500,
        learning_rate=3e-3,
        checkpoint_every=500,
        sample_every=500,
    )


def _pixels(name: str, nats: str, steps: int, minutes: float, **settings: Any) -> Variant:
    """A pixel model. Its result is from a short run only."""
    measured = (
        f"{nats} on the test split, by compare:fashion_mnist. That run took {steps} steps of 16 "
        f"images, {minutes} minutes on 2 CPU cores. This config trains longer"
    )
    return Variant(common.TITLES[name], _config(name, **settings), measured, common.SOURCES[name])


VQVAE = common.tokenizer(
    common.vqvae(strides=(4,), features=64),
    common.vector_quantizer(features=32, codebook_size=256),
    dataset="fashion_mnist",
    num_steps=5000,
    checkpoint_every=1000,
    sample_every=1000,
    num_samples=32,
)
# There are four times as many bottom codes. Networks of half the width keep the cost similar.
VQVAE2 = common.two_levels(VQVAE, strides=(2, 2), features=32) | {"num_steps": 1500}

_LARGE_HEAD = {"embedding_features": 32, "head_features": 128, "dropout_rate": 0.2}


def _prior(name: str, **settings: Any) -> common.Config:
    return common.prior(
        common.network(name, **_LARGE_HEAD | settings),
        {"features": 64, "num_blocks": 1},
        num_steps=2000,
        checkpoint_every=500,
        sample_every=500,
    )


PRIOR = _prior("gated_pixel_cnn", features=64, num_layers=6, first_kernel_size=5)
ATTENTION = _prior(
    "pixel_snail", features=64, num_layers=2, num_residuals=2, first_kernel_size=5, num_heads=4
)
SHORT = {"batch_size": 32, "num_steps": 800}
# The bottom level has four times as many codes, but the top codes give much of their content.
PRIOR2 = common.prior_of_two(PRIOR, bottom={"features": 32, "num_layers": 4}, **SHORT)

VARIANTS = {
    "": Variant(
        common.TITLES["gated_pixel_cnn"],
        _config("gated_pixel_cnn", features=48, num_layers=6),
        "1.007 bits/dim (547.2 nats) on the test split",
        common.SOURCES["gated_pixel_cnn"],
    ),
    "pixel_cnn": _pixels("pixel_cnn", "1.086 bits/dim (590.2 nats)", 400, 2.1),
    "row_lstm": _pixels("row_lstm", "1.105 bits/dim (600.5 nats)", 400, 2.3),
    "diagonal_bilstm": _pixels("diagonal_bilstm", "1.229 bits/dim (667.8 nats)", 160, 2.2),
    "pixel_cnn_pp": _pixels(
        "pixel_cnn_pp", "1.111 bits/dim (603.9 nats)", 400, 2.2, head="logistic_mixture"
    ),
    "pixel_snail": _pixels("pixel_snail", "1.215 bits/dim (660.2 nats)", 180, 2.4),
    "transformer": _pixels("transformer", "1.234 bits/dim (670.8 nats)", 180, 2.3),
    "multi_scale": _pixels("multi_scale", "1.105 bits/dim (600.7 nats)", 600, 2.3),
    "vqvae": Variant(
        "VQ-VAE: 28x28 images to 7x7 codes",
        VQVAE,
        "test MSE 0.004506 (PCA with as many bits: 0.006074). All 256 codes are used. Training "
        "took 9 min 34 s on 2 CPU cores",
        "van den Oord et al. 2017",
    ),
    "vqvae2": Variant(
        "VQ-VAE-2: to 7x7 and 14x14 codes",
        VQVAE2,
        "test MSE 0.00151. All codes of both levels are used. Training took 10 min 32 s on 2 CPU "
        "cores",
        "Razavi et al. 2019",
    ),
    "prior": Variant(
        "A class-conditional Gated PixelCNN over the codes of fashion_mnist:vqvae",
        PRIOR,
        "4.013 bits per code on the test split (entropy of the codes: 7.635). Training took 7 min "
        "31 s on 2 CPU cores. A classifier finds the requested class in 81.5% of 1,000 samples",
        "van den Oord et al. 2017",
    ),
    "prior_transformer": Variant(
        "A class-conditional Transformer over the codes of fashion_mnist:vqvae",
        _prior("transformer", features=96, num_layers=4, num_heads=4, first_kernel_size=3),
        "3.948 bits per code on the test split (entropy of the codes: 7.635). Training took 15 "
        "minutes on 2 CPU cores. A classifier finds the requested class in 77.8% of 1,000 samples",
        "Vaswani et al. 2017",
    ),
    "prior2": Variant(
        "P(top) P(bottom | top): as fashion_mnist:prior, over the codes of fashion_mnist:vqvae2",
        PRIOR2,
        "3.392 bits per top code and 3.389 per bottom code on the test split. This was a short "
        "run of 800 steps",
        "Razavi et al. 2019",
    ),
    "prior2_pixel_snail": Variant(
        "P(top) P(bottom | top), attention in the top alone, over the codes of "
        "fashion_mnist:vqvae2",
        common.prior_of_two(ATTENTION, bottom={"features": 32, "attention": False}, **SHORT),
        "3.394 bits per top code and 3.442 per bottom code on the test split. This was a short "
        "run of 800 steps, 4 minutes on 2 CPU cores. A classifier finds the requested class in "
        "53.9% of 1,000 samples",
        "Razavi et al. 2019, section 3.2 and appendix B. The top prior has attention. The bottom "
        "prior, which is given the top codes, has convolutions only",
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """Return the config of a variant.

    `TASKS` in ``pixelprior/experiment/schema.py`` describes the keys.
    """
    return resolve(VARIANTS, variant)

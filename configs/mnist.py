r"""MNIST, 28x28 pixels; pixel models train on dynamically binarised images.

    python train.py --config=configs/mnist.py --workdir=runs/mnist
    python train.py --config=configs/mnist.py:pixel_snail --workdir=runs/mnist_pixel_snail
    export GLIBC_TUNABLES=glibc.malloc.hugetlb=1  # for the next one, see docs/training.md
    python train.py --config=configs/mnist.py:best --workdir=runs/mnist_best
    python train.py --config=configs/mnist.py:vqvae --workdir=runs/mnist_vqvae
    python train.py --config=configs/mnist.py:prior --workdir=runs/mnist_prior \
        --tokenizer=runs/mnist_vqvae

TFDS must have prepared MNIST; see the README. The first command trains a Gated PixelCNN (van den
Oord et al. 2016b) to 89.56 nats on the test split in about 10 minutes. A far larger Gated PixelCNN,
trained for longer, is known to reach 81.50. The curve of mnist:best is in docs/training.md.
Tokenizers and priors are those of fashion_mnist, for 8-bit images that are not binarised.
"""

from typing import Any

from ml_collections import ConfigDict

from pixelprior.configs import common, fashion_mnist
from pixelprior.experiment.recipes import Variant, resolve

IMAGES = {"dataset": "mnist", "levels": 2, "binarisation": "dynamic"}
_FEW_LEVELS = {"embedding_features": 4, "head_features": 64}
_HALF_AN_HOUR: common.Config = {
    "batch_size": 16,
    "optimizer": "muon",
    "learning_rate": 3e-3,
    "warmup_steps": 200,
    "ema_decay": 0.999,
}


def small(name: str, num_steps: int, learning_rate: float = 3e-3) -> common.Config:
    """A network of about 300,000 parameters, trained for about ten minutes on 2 CPU cores."""
    return common.pixels(
        common.network(name, **_FEW_LEVELS | common.SMALL[name]),
        **IMAGES,
        batch_size=16,
        num_steps=num_steps,
        learning_rate=learning_rate,
        checkpoint_every=num_steps // 4,
        sample_every=num_steps,
    )


def _small(name: str, nats: str, minutes: int, num_steps: int, **settings: Any) -> Variant:
    measured = (
        f"{nats} on the test split (one fixed draw) after about {minutes} minutes on 2 CPU cores"
    )
    config = small(name, num_steps, **settings)
    return Variant(common.TITLES[name], config, measured, common.SOURCES[name])


def _baseline(name: str, measured: str, batch_size: int, num_steps: int) -> Variant:
    """A fully connected network; a binary symbol is one number to it."""
    few_levels = {"embedding_features": 1, "head_features": 16}
    config = common.pixels(
        common.network(name, **few_levels | common.BASELINES[name]),
        **IMAGES,
        batch_size=batch_size,
        num_steps=num_steps,
        learning_rate=3e-3,
        checkpoint_every=num_steps // 4,
        sample_every=num_steps,
    )
    return Variant(common.TITLES[name], config, measured, common.SOURCES[name])


VARIANTS = {
    "": Variant(
        "Gated PixelCNN",
        common.pixels(
            common.network("gated_pixel_cnn", **_FEW_LEVELS, features=32, num_layers=6),
            **IMAGES,
            batch_size=32,
            num_steps=1500,
            learning_rate=3e-3,
            checkpoint_every=500,
            sample_every=500,
        ),
        "89.56 nats on the test split (one fixed draw) after about 10 minutes on 2 CPU cores",
        "van den Oord et al. 2016b. A far larger Gated PixelCNN, trained for longer, is known to "
        "reach 81.50 on dynamically binarised MNIST",
    ),
    "best": Variant(
        "The PixelCNN++ with the lowest NLL after half an hour on 2 CPU cores",
        common.pixels(
            common.network(
                "pixel_cnn_pp", **_FEW_LEVELS, **common.SMALL["pixel_cnn_pp"] | {"features": 32}
            ),
            **IMAGES,
            **_HALF_AN_HOUR,
            num_steps=4800,
            checkpoint_every=800,
            sample_every=4800,
        ),
        "80.07 nats on the test split (one fixed draw), estimated 30 minutes on 2 CPU cores",
        "Salimans et al. 2017. A far larger Gated PixelCNN, trained for longer, is known to reach "
        "81.50",
    ),
    "pixel_cnn": _small("pixel_cnn", "0.1685 bits/dim (91.58 nats)", 10, 1200),
    "row_lstm": _small("row_lstm", "0.1610 bits/dim (87.52 nats)", 10, 1200),
    "diagonal_bilstm": _small("diagonal_bilstm", "0.1656 bits/dim (89.97 nats)", 11, 500),
    "pixel_cnn_pp": _small("pixel_cnn_pp", "0.1546 bits/dim (84.01 nats)", 9, 1160),
    "pixel_snail": _small(
        "pixel_snail", "0.1637 bits/dim (88.95 nats)", 10, 500, learning_rate=2e-3
    ),
    "transformer": _small(
        "transformer", "0.1628 bits/dim (88.47 nats)", 11, 600, learning_rate=2e-3
    ),
    "transformer_muon": Variant(
        "Transformer that learns with Muon",
        small("transformer", 1605) | {"optimizer": "muon"},
        "81.87 nats on the test split (one fixed draw); at the speed of 2 quiet CPU cores, 11 "
        "minutes of steps",
        common.SOURCES["transformer"],
    ),
    "multi_scale": _small("multi_scale", "0.1618 bits/dim (87.91 nats)", 10, 2000),
    "any_order": Variant(
        common.TITLES["any_order_transformer"],
        common.pixels(
            common.network(
                "any_order_transformer", **_FEW_LEVELS, features=88, num_layers=3, num_heads=2
            ),
            **IMAGES,
            batch_size=16,
            num_steps=1070,
            optimizer="muon",
            learning_rate=3e-3,
            checkpoint_every=535,
            sample_every=1070,
        ),
        "94.60 nats on the test split (a random order for each image); at the speed of 2 quiet CPU "
        "cores, 11 minutes of steps",
        common.SOURCES["any_order_transformer"],
    ),
    "made": _baseline(
        "made",
        "0.1656 bits/dim (89.98 nats) on the test split (one fixed draw) after 3,000 steps",
        128,
        3000,
    ),
    "nade": _baseline(
        "nade",
        "0.1673 bits/dim (90.90 nats) on the test split (one fixed draw) after 2,000 steps",
        32,
        2000,
    ),
    "vqvae": Variant(
        "VQ-VAE: 28x28 images to 7x7 codes, as fashion_mnist:vqvae",
        fashion_mnist.VQVAE | {"dataset": "mnist"},
    ),
    "vqvae2": Variant(
        "VQ-VAE-2: to 7x7 and 14x14 codes, as fashion_mnist:vqvae2",
        fashion_mnist.VQVAE2 | {"dataset": "mnist"},
    ),
    "prior": Variant("As fashion_mnist:prior, over the codes of mnist:vqvae", fashion_mnist.PRIOR),
    "prior2": Variant(
        "As fashion_mnist:prior2, over the codes of mnist:vqvae2", fashion_mnist.PRIOR2
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """Return the config of a variant.

    `TASKS` in ``pixelprior/experiment/schema.py`` describes the keys.
    """
    return resolve(VARIANTS, variant)

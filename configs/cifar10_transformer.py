"""Transformer on CIFAR-10: configs/cifar10.py with another model.

    python train.py --config=configs/cifar10_transformer.py --workdir=runs/cifar10_transformer

Source: Vaswani et al. 2017; Parmar et al. 2018. A far larger one, trained for longer, is known to
reach 2.90 (Image Transformer) bits/dim. Meant for an accelerator, and not trained at this size.
Measured: a network of a few hundred thousand parameters, trained by configs/compare_cifar10.py,
reaches 5.248 bits/dim on the test split after 140 steps of 16 images, 2.2 minutes on 2 CPU cores.
Bits/dim on a copy of the data that went through JPEG are not comparable with published ones.
"""

from ml_collections import ConfigDict

from pixelprior.configs import cifar10


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = cifar10.get_config()
    config.model = ConfigDict(
        {
            "name": "transformer",
            "features": 512,
            "num_layers": 12,
            "num_heads": 8,
            "window_rows": 64,
            "first_kernel_size": 7,
            "embedding_features": 32,
            "head_features": 256,
            "head": "logistic_mixture",
            "num_mixtures": 10,
            "dropout_rate": 0.1,
            "dtype": "bfloat16",
            "remat": True,
        }
    )
    return config

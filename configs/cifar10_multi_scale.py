"""Multi-scale Gated PixelCNN on CIFAR-10: configs/cifar10.py with another model.

    python train.py --config=configs/cifar10_multi_scale.py --workdir=runs/cifar10_multi_scale

Source: van den Oord et al. 2016a, section 3.6. Meant for an accelerator, and not trained at this
size. Measured: a network of a few hundred thousand parameters, trained by
configs/compare_cifar10.py, reaches 4.289 bits/dim on the test split after 480 steps of 16 images,
2.7 minutes on 2 CPU cores. Bits/dim on a copy of the data that went through JPEG are not comparable
with published ones.
"""

from ml_collections import ConfigDict

from pixelprior.configs import cifar10


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = cifar10.get_config()
    config.model = ConfigDict(
        {
            "name": "multi_scale",
            "num_scales": 2,
            "factor": 2,
            "context_num_blocks": 2,
            "features": 128,
            "num_layers": 12,
            "kernel_size": 3,
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

"""Gated PixelCNN on CIFAR-10, 8-bit colour.

    python train.py --config=configs/cifar10.py --workdir=runs/cifar10

Needs CIFAR-10 as TFDS prepares it, see the README. Source: van den Oord et al. 2016b, table 1: 3.03
bits/dim. Meant for an accelerator, and not trained at this size. Measured: a network of a few
hundred thousand parameters, trained by configs/compare_cifar10.py, reaches 4.569 bits/dim on the
test split after 260 steps of 16 images, 2.0 minutes on 2 CPU cores. Bits/dim on a copy that went
through JPEG are not comparable with published ones.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    return ConfigDict(
        {
            "task": "pixels",
            "seed": 0,
            "dataset": "cifar10",
            "data_dir": "",
            "image_size": (0, 0),
            "validation_fraction": 0.1,
            "levels": 256,
            "binarisation": "none",
            "flip": True,
            "class_conditional": False,
            "label_dropout": 0.0,
            "model": {
                "name": "gated_pixel_cnn",
                "features": 128,
                "num_layers": 12,
                "kernel_size": 3,
                "first_kernel_size": 7,
                "embedding_features": 32,
                "head_features": 256,
                "head": "softmax",
                "num_mixtures": 10,
                "dropout_rate": 0.1,
                "dtype": "float32",
                "remat": False,
            },
            "batch_size": 64,
            "mesh": "data",
            "accumulate_steps": 1,
            "num_steps": 100_000,
            "optimizer": "adamw",
            "schedule": "cosine",
            "learning_rate": 1e-3,
            "warmup_steps": 2000,
            "plateau_factor": 0.5,
            "plateau_patience": 5,
            "weight_decay": 1e-4,
            "clip_norm": 1.0,
            "skip_norm": 0.0,
            "ema_decay": 0.9995,
            "patience": 0,
            "log_every": 50,
            "checkpoint_every": 5000,
            "sample_every": 5000,
            "num_samples": 64,
        }
    )

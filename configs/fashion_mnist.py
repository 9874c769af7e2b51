"""Gated PixelCNN on Fashion-MNIST, 16 levels (4 bits), class-conditional.

    python train.py --config=configs/fashion_mnist.py --workdir=runs/fashion_mnist

Needs Fashion-MNIST as TFDS prepares it, see the README. Measured: 1.128 bits/dim (613.2 nats) on
the test split after 320 steps of 16 images, 1.6 minutes on 2 CPU cores, by
configs/compare_fashion_mnist.py; not trained for as long as it says here. Source: van den Oord et
al. 2016b.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    return ConfigDict(
        {
            "task": "pixels",
            "seed": 0,
            "dataset": "fashion_mnist",
            "data_dir": "",
            "image_size": (0, 0),
            "validation_fraction": 0.1,
            "levels": 16,
            "binarisation": "none",
            "flip": False,
            "class_conditional": True,
            "label_dropout": 0.1,
            "model": {
                "name": "gated_pixel_cnn",
                "features": 48,
                "num_layers": 6,
                "kernel_size": 3,
                "first_kernel_size": 7,
                "embedding_features": 16,
                "head_features": 96,
                "head": "softmax",
                "num_mixtures": 10,
                "dropout_rate": 0.1,
                "dtype": "float32",
                "remat": False,
            },
            "batch_size": 32,
            "mesh": "data",
            "accumulate_steps": 1,
            "num_steps": 1500,
            "optimizer": "adamw",
            "schedule": "cosine",
            "learning_rate": 3e-3,
            "warmup_steps": 100,
            "plateau_factor": 0.5,
            "plateau_patience": 5,
            "weight_decay": 1e-4,
            "clip_norm": 1.0,
            "skip_norm": 0.0,
            "ema_decay": 0.998,
            "patience": 0,
            "log_every": 50,
            "checkpoint_every": 500,
            "sample_every": 500,
            "num_samples": 64,
        }
    )

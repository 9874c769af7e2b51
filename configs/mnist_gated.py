"""The Gated PixelCNN that learns the most of MNIST in half an hour on 2 CPU cores.

    export GLIBC_TUNABLES=glibc.malloc.hugetlb=1  # see docs/training.md
    python train.py --config=configs/mnist_gated.py --workdir=runs/mnist_gated

Needs MNIST as TFDS prepares it, see the README. Measured: 84.24 nats on the test split (one fixed
draw) after 28.8 minutes of steps, 32 in all, on 2 CPU cores whose 2048^3 product ran at 271
GFLOP/s. Its curve stands in docs/training.md. Source: van den Oord et al. 2016b.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    return ConfigDict(
        {
            "task": "pixels",
            "seed": 0,
            "dataset": "mnist",
            "data_dir": "",
            "image_size": (0, 0),
            "validation_fraction": 0.1,
            "levels": 2,
            "binarisation": "dynamic",
            "flip": False,
            "class_conditional": False,
            "label_dropout": 0.0,
            "model": {
                "name": "gated_pixel_cnn",
                "features": 48,
                "num_layers": 8,
                "kernel_size": 3,
                "first_kernel_size": 7,
                "embedding_features": 4,
                "head_features": 96,
                "head": "softmax",
                "num_mixtures": 10,
                "dropout_rate": 0.0,
                "dtype": "float32",
                "remat": False,
            },
            "batch_size": 16,
            "mesh": "data",
            "accumulate_steps": 1,
            "num_steps": 6000,
            "optimizer": "muon",
            "schedule": "cosine",
            "learning_rate": 3e-3,
            "warmup_steps": 200,
            "plateau_factor": 0.5,
            "plateau_patience": 5,
            "weight_decay": 1e-4,
            "clip_norm": 1.0,
            "skip_norm": 0.0,
            "ema_decay": 0.999,
            "patience": 0,
            "log_every": 50,
            "checkpoint_every": 1000,
            "sample_every": 3000,
            "num_samples": 64,
        }
    )

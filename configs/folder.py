"""Gated PixelCNN on a folder of your own images, 5-bit colour; sub-folders are classes.

    python train.py --config=configs/folder.py --config.dataset=folder:/my/images --workdir=runs/my

Images are resized to cover ``image_size`` (another: ``--config.image_size="(64, 48)"``) and cropped
at their centre. With sub-folders, ``--config.class_conditional=True`` makes one class of each. A
starting point: how long to train, and how well it does, depends on the images.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    return ConfigDict(
        {
            "task": "pixels",
            "seed": 0,
            "dataset": "folder:images",
            "data_dir": "",
            "image_size": (32, 32),
            "validation_fraction": 0.1,
            "levels": 32,
            "binarisation": "none",
            "flip": False,
            "class_conditional": False,
            "label_dropout": 0.0,
            "model": {
                "name": "gated_pixel_cnn",
                "features": 64,
                "num_layers": 6,
                "kernel_size": 3,
                "first_kernel_size": 7,
                "embedding_features": 16,
                "head_features": 128,
                "head": "softmax",
                "num_mixtures": 10,
                "dropout_rate": 0.1,
                "dtype": "float32",
                "remat": False,
            },
            "batch_size": 32,
            "mesh": "data",
            "accumulate_steps": 1,
            "num_steps": 10_000,
            "optimizer": "adamw",
            "schedule": "cosine",
            "learning_rate": 1e-3,
            "warmup_steps": 500,
            "plateau_factor": 0.5,
            "plateau_patience": 5,
            "weight_decay": 1e-4,
            "clip_norm": 1.0,
            "skip_norm": 0.0,
            "ema_decay": 0.999,
            "patience": 0,
            "log_every": 50,
            "checkpoint_every": 500,
            "sample_every": 500,
            "num_samples": 64,
        }
    )

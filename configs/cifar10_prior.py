r"""A class-conditional Gated PixelCNN over the codes of configs/cifar10_vqvae.py.

    python train.py --config=configs/cifar10_prior.py --workdir=runs/cifar10_prior \
        --tokenizer=runs/cifar10_vqvae

A starting point that was checked but not trained to its end; nothing is claimed for it.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    return ConfigDict(
        {
            "task": "prior",
            "seed": 0,
            "data_dir": "",
            "class_conditional": True,
            "label_dropout": 0.1,
            "models": {
                "top": {
                    "name": "gated_pixel_cnn",
                    "features": 128,
                    "num_layers": 10,
                    "kernel_size": 3,
                    "first_kernel_size": 7,
                    "embedding_features": 32,
                    "head_features": 256,
                    "head": "softmax",
                    "num_mixtures": 10,
                    "dropout_rate": 0.2,
                    "dtype": "float32",
                    "remat": False,
                },
            },
            "context": {"features": 128, "num_blocks": 2},
            "trained_levels": ("top",),
            "batch_size": 64,
            "mesh": "data",
            "accumulate_steps": 1,
            "num_steps": 20000,
            "optimizer": "adamw",
            "schedule": "cosine",
            "learning_rate": 1e-3,
            "warmup_steps": 100,
            "plateau_factor": 0.5,
            "plateau_patience": 5,
            "weight_decay": 1e-2,
            "clip_norm": 1.0,
            "skip_norm": 0.0,
            "ema_decay": 0.999,
            "patience": 0,
            "log_every": 50,
            "checkpoint_every": 2000,
            "sample_every": 2000,
            "num_samples": 64,
        }
    )

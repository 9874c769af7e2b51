r"""A class-conditional Gated PixelCNN over the codes of configs/digits_vqvae.py.

python train.py --config=configs/digits_prior.py --workdir=runs/digits_prior \
    --tokenizer=runs/digits_vqvae
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
                    "features": 48,
                    "num_layers": 4,
                    "kernel_size": 3,
                    "first_kernel_size": 5,
                    "embedding_features": 16,
                    "head_features": 96,
                    "head": "softmax",
                    "num_mixtures": 10,
                    "dropout_rate": 0.3,
                    "dtype": "float32",
                    "remat": False,
                },
            },
            "context": {"features": 32, "num_blocks": 1},
            "trained_levels": ("top",),
            "batch_size": 64,
            "mesh": "data",
            "accumulate_steps": 1,
            "num_steps": 1000,
            "optimizer": "adamw",
            "schedule": "cosine",
            "learning_rate": 2e-3,
            "warmup_steps": 50,
            "plateau_factor": 0.5,
            "plateau_patience": 5,
            "weight_decay": 1e-2,
            "clip_norm": 1.0,
            "skip_norm": 0.0,
            "ema_decay": 0.995,
            "patience": 0,
            "log_every": 20,
            "checkpoint_every": 250,
            "sample_every": 500,
            "num_samples": 64,
        }
    )

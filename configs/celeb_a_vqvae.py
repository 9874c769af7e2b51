"""VQ-VAE on CelebA at 64x64 pixels: to 16x16 codes.

    python train.py --config=configs/celeb_a_vqvae.py --workdir=runs/celeb_a_vqvae

A starting point that was checked but not trained to its end; nothing is claimed for it.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    return ConfigDict(
        {
            "task": "tokenizer",
            "seed": 0,
            "dataset": "celeb_a",
            "data_dir": "",
            "image_size": (64, 64),
            "validation_fraction": 0.1,
            "levels": 256,
            "binarisation": "none",
            "flip": True,
            "tokenizer": {
                "name": "vqvae",
                "strides": (4,),
                "features": 128,
                "residual_features": 32,
                "num_residual_blocks": 2,
                "likelihood": "gaussian",
            },
            "quantizer": {
                "name": "vector",
                "features": 64,
                "codebook_size": 512,
                "num_codebooks": 1,
                "learning": "moving_average",
                "decay": 0.99,
                "commitment": 0.25,
                "epsilon": 1e-5,
                "dead_share": 0.03,
                "k_means_iterations": 10,
                "cosine": False,
            },
            "batch_size": 64,
            "mesh": "data",
            "accumulate_steps": 1,
            "num_steps": 40000,
            "optimizer": "adamw",
            "schedule": "cosine",
            "learning_rate": 1e-3,
            "warmup_steps": 100,
            "plateau_factor": 0.5,
            "plateau_patience": 5,
            "weight_decay": 1e-4,
            "clip_norm": 1.0,
            "skip_norm": 0.0,
            "ema_decay": 0.999,
            "patience": 0,
            "log_every": 50,
            "checkpoint_every": 2000,
            "sample_every": 2000,
            "num_samples": 32,
        }
    )

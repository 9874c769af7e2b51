"""VQ-VAE on scikit-learn's handwritten digits: 8x8 images to 4x4 codes.

python train.py --config=configs/digits_vqvae.py --workdir=runs/digits_vqvae
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    return ConfigDict(
        {
            "task": "tokenizer",
            "seed": 0,
            "dataset": "digits",
            "data_dir": "",
            "image_size": (0, 0),
            "validation_fraction": 0.1,
            "levels": 17,
            "binarisation": "none",
            "flip": False,
            "tokenizer": {
                "name": "vqvae",
                "strides": (2,),
                "features": 32,
                "residual_features": 16,
                "num_residual_blocks": 1,
                "likelihood": "gaussian",
            },
            "quantizer": {
                "name": "vector",
                "features": 16,
                "codebook_size": 64,
                "num_codebooks": 1,
                "learning": "moving_average",
                "decay": 0.99,
                "commitment": 0.25,
                "epsilon": 1e-5,
                "dead_share": 0.1,
                "k_means_iterations": 10,
                "cosine": False,
            },
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
            "weight_decay": 1e-4,
            "clip_norm": 1.0,
            "skip_norm": 0.0,
            "ema_decay": 0.99,
            "patience": 0,
            "log_every": 20,
            "checkpoint_every": 250,
            "sample_every": 500,
            "num_samples": 64,
        }
    )

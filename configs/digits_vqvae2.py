"""VQ-VAE-2 on scikit-learn's handwritten digits: 8x8 images to 2x2 and 4x4 codes.

python train.py --config=configs/digits_vqvae2.py --workdir=runs/digits_vqvae2
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
                "name": "vqvae2",
                "strides": (2, 2),
                "features": 32,
                "residual_features": 16,
                "num_residual_blocks": 1,
                "likelihood": "gaussian",
            },
            "quantizer": {
                "name": "vector",
                "features": 16,
                "codebook_size": 32,
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
            "num_steps": 1000,
            "learning_rate": 2e-3,
            "warmup_steps": 50,
            "weight_decay": 1e-4,
            "clip_norm": 1.0,
            "ema_decay": 0.99,
            "log_every": 20,
            "checkpoint_every": 250,
            "sample_every": 500,
            "num_samples": 64,
        }
    )

"""VQ-VAE on Fashion-MNIST: 28x28 images to 7x7 codes.

    python train.py --config=configs/fashion_mnist_vqvae.py --workdir=runs/fashion_mnist_vqvae

Measured: test MSE 0.004506 (PCA with as many bits: 0.006074), all 256 codes used, after 9 min 34 s
on 2 CPU cores that were busy with tests too. Source: van den Oord et al. 2017.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    return ConfigDict(
        {
            "task": "tokenizer",
            "seed": 0,
            "dataset": "fashion_mnist",
            "data_dir": "",
            "image_size": (0, 0),
            "validation_fraction": 0.1,
            "levels": 256,
            "binarisation": "none",
            "flip": False,
            "tokenizer": {
                "name": "vqvae",
                "strides": (4,),
                "features": 64,
                "residual_features": 32,
                "num_residual_blocks": 2,
                "likelihood": "gaussian",
            },
            "quantizer": {
                "name": "vector",
                "features": 32,
                "codebook_size": 256,
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
            "num_steps": 5000,
            "optimizer": "adamw",
            "schedule": "cosine",
            "learning_rate": 2e-3,
            "warmup_steps": 100,
            "plateau_factor": 0.5,
            "plateau_patience": 5,
            "weight_decay": 1e-4,
            "clip_norm": 1.0,
            "skip_norm": 0.0,
            "ema_decay": 0.998,
            "patience": 0,
            "log_every": 50,
            "checkpoint_every": 1000,
            "sample_every": 1000,
            "num_samples": 32,
        }
    )

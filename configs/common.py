"""Shared values of recipes: common values for most keys of a config.

`TASKS` in ``pixelprior/experiment/schema.py`` describes the keys. A recipe states only other
values.
"""

from typing import Any

Config = dict[str, Any]

IMAGES: Config = {
    "data_dir": "",
    "class_depth": 1,
    "skip_unreadable": False,
    "image_size": (0, 0),
    "validation_fraction": 0.1,
    "levels": 256,
    "binarisation": "none",
    "flip": False,
    "crop_padding": 0,
    "brightness_jitter": 0.0,
    "contrast_jitter": 0.0,
    "saturation_jitter": 0.0,
    "hue_jitter": 0.0,
}

TRAINING: Config = {
    "batch_size": 64,
    "mesh": "data",
    "accumulate_steps": 0,
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
    "num_samples": 64,
}


def pixels(model: Config, **differences: Any) -> Config:
    """Make the config of a pixel model."""
    conditioning = {
        "class_conditional": False,
        "attribute_conditional": False,
        "label_dropout": 0.0,
        "distribution_augmentation": 0.0,
    }
    start = {"task": "pixels", "seed": 0, "model": model}
    return start | IMAGES | conditioning | TRAINING | differences


def tokenizer(network: Config, quantizer: Config, **differences: Any) -> Config:
    """Make the config of a tokenizer, an autoencoder from images to codes."""
    start = {"task": "tokenizer", "seed": 0, "tokenizer": network, "quantizer": quantizer}
    return start | IMAGES | TRAINING | differences


def prior(top: Config, context: Config, **differences: Any) -> Config:
    """Make the config of a class-conditional model of the codes of a VQ-VAE."""
    conditioning = {
        "data_dir": "",
        "class_conditional": True,
        "attribute_conditional": False,
        "label_dropout": 0.1,
    }
    models = {"models": {"top": top}, "context": context, "trained_levels": ("top",)}
    start = {"task": "prior", "seed": 0}
    return start | conditioning | models | TRAINING | {"weight_decay": 1e-2} | differences


def two_levels(config: Config, *, strides: tuple[int, int], **network: Any) -> Config:
    """Change a VQ-VAE to a VQ-VAE-2. ``strides`` begins with the finest level: bottom, then top."""
    name = {"name": "vqvae2", "strides": strides}
    return config | {"tokenizer": config["tokenizer"] | name | network}


def prior_of_two(config: Config, *, bottom: Config | None = None, **differences: Any) -> Config:
    """Change P(top) to P(top) P(bottom | top). By default both models have the same settings."""
    top = config["models"]["top"]
    models = {"top": top, "bottom": top | (bottom or {})}
    return config | {"models": models, "trained_levels": ("top", "bottom")} | differences


# Settings of each architecture, without those of the head and those that all models accept.
_KERNELS: Config = {"kernel_size": 3, "first_kernel_size": 7}
_ARCHITECTURES: dict[str, Config] = {
    "pixel_cnn": _KERNELS,
    "gated_pixel_cnn": _KERNELS,
    "row_lstm": _KERNELS,
    "diagonal_bilstm": {"first_kernel_size": 7},
    "pixel_cnn_pp": {},
    "pixel_snail": _KERNELS | {"attention": True, "window_rows": 64},
    "transformer": {"first_kernel_size": 7, "window_rows": 64},
    "multi_scale": _KERNELS | {"num_scales": 2, "factor": 2, "context_num_blocks": 2},
    "any_order_transformer": {"first_kernel_size": 7},
    "made": {"num_layers": 1},
    "nade": {},
}


def network(name: str, **settings: Any) -> Config:
    """All settings of a model: every argument of its constructor that a config can set."""
    shared = {
        "embedding_features": 16,
        "head_features": 96,
        "head": "softmax",
        "num_mixtures": 10,
        "dropout_rate": 0.0,
        "dtype": "float32",
        "remat": False,
    }
    return {"name": name} | _ARCHITECTURES[name] | shared | settings


def vqvae(**settings: Any) -> Config:
    """Settings of the encoder and decoder of a VQ-VAE."""
    shared = {"name": "vqvae", "residual_features": 32, "num_residual_blocks": 2}
    return shared | {"likelihood": "gaussian", "perceptual_weight": 0.0} | settings


def vector_quantizer(**settings: Any) -> Config:
    """Settings of a vector quantizer."""
    shared = {
        "name": "vector",
        "num_codebooks": 1,
        "learning": "moving_average",
        "decay": 0.99,
        "commitment": 0.25,
        "epsilon": 1e-5,
        "dead_share": 0.03,
        "k_means_iterations": 10,
        "cosine": False,
        "depth": 1,
        "gradient": "straight_through",
    }
    return shared | settings


# Networks with about 300,000 parameters each, for 28x28 grids and ten minutes on 2 CPU cores.
SMALL: dict[str, Config] = {
    "pixel_cnn": {"features": 72, "num_layers": 6},
    "gated_pixel_cnn": {"features": 40, "num_layers": 8},
    "row_lstm": {"features": 44, "num_layers": 5},
    "diagonal_bilstm": {"features": 40, "num_layers": 5},
    "pixel_cnn_pp": {"features": 24, "num_blocks": 1, "num_scales": 3},
    "pixel_snail": {"features": 64, "num_layers": 2, "num_residuals": 3, "num_heads": 2},
    "transformer": {"features": 88, "num_layers": 3, "num_heads": 2, "window_rows": 6},
    "multi_scale": {"features": 32, "num_layers": 4},
}

# Fully connected networks for 28x28 grids. They have 11 and 3.5 million parameters, because no two
# pixels share weights.
BASELINES: dict[str, Config] = {
    "made": {"features": 2, "output_features": 8},
    "nade": {"features": 500, "output_features": 8, "remat": True},
}

SOURCES = {
    "pixel_cnn": "van den Oord et al. 2016a, figure 5",
    "gated_pixel_cnn": "van den Oord et al. 2016b",
    "row_lstm": "van den Oord et al. 2016a, section 3.1",
    "diagonal_bilstm": "van den Oord et al. 2016a, section 3.2",
    "pixel_cnn_pp": "Salimans et al. 2017",
    "pixel_snail": "Chen et al. 2018",
    "transformer": "Vaswani et al. 2017; Parmar et al. 2018",
    "multi_scale": "van den Oord et al. 2016a, section 3.6",
    "any_order_transformer": "Hoogeboom et al. 2022, Pannatier et al. 2024, Pang et al. 2025",
    "made": "Germain et al. 2015",
    "nade": "Larochelle and Murray 2011",
}

TITLES = {
    "pixel_cnn": "PixelCNN",
    "gated_pixel_cnn": "Gated PixelCNN",
    "row_lstm": "Row LSTM",
    "diagonal_bilstm": "Diagonal BiLSTM",
    "pixel_cnn_pp": "PixelCNN++",
    "pixel_snail": "PixelSNAIL",
    "transformer": "Transformer",
    "multi_scale": "Multi-scale Gated PixelCNN",
    "any_order_transformer": "Any-order transformer",
    "made": "MADE",
    "nade": "NADE",
}

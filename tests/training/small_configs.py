"""The smallest config of each task that has all phases."""

from tests.plain_training import PLAIN_TRAINING

# Everything that a config must say.
DATA = {
    "seed": 0,
    "dataset": "digits",
    "data_dir": "",
    "image_size": (0, 0),
    "validation_fraction": 0.1,
    "levels": 17,
    "binarisation": "none",
    "flip": False,
}
AUGMENTED = {
    "flip": True,
    "crop_padding": 1,
    "brightness_jitter": 0.2,
    "contrast_jitter": 0.2,
}
TRAINING = {
    "batch_size": 16,
    "num_steps": 12,
    "learning_rate": 5e-3,
    "warmup_steps": 2,
    "weight_decay": 1e-2,
    "clip_norm": 1.0,
    "ema_decay": 0.9,
    "log_every": 1,
    "checkpoint_every": 4,
    "sample_every": 12,
    "num_samples": 2,
    **PLAIN_TRAINING,
}
MODEL = {
    "name": "gated_pixel_cnn",
    "features": 4,
    "num_layers": 1,
    "embedding_features": 4,
    "head_features": 8,
    "dropout_rate": 0.3,
}
CONFIG = {
    "task": "pixels",
    **DATA,
    "class_conditional": False,
    "attribute_conditional": False,
    "label_dropout": 0.0,
    "model": MODEL,
    **TRAINING,
    "learning_rate": 1e-2,
}
# Two levels, codes that die and start again at every step, and all that can change grey images.
TOKENIZER = {
    "task": "tokenizer",
    **DATA,
    **AUGMENTED,
    "tokenizer": {
        "name": "vqvae2",
        "strides": (2, 2),
        "features": 4,
        "residual_features": 2,
        "num_residual_blocks": 1,
        "likelihood": "gaussian",
    },
    "quantizer": {
        "name": "vector",
        "features": 4,
        "codebook_size": 16,
        "decay": 0.8,
        "dead_share": 0.5,
        "k_means_iterations": 2,
    },
    **TRAINING,
}
PRIOR = {
    "task": "prior",
    "seed": 0,
    "data_dir": "",
    "class_conditional": True,
    "attribute_conditional": False,
    "label_dropout": 0.2,
    "models": {"top": MODEL, "bottom": MODEL},
    "context": {"features": 4, "num_blocks": 1},
    "trained_levels": ("top", "bottom"),
    **TRAINING,
}

# Flags that change the first one: one is wide enough that most of it is split, if it may be.
WIDE = ("--config.mesh=fsdp", "--config.model.features=16")
FIFTY_STEPS = ("--config.num_steps=50", "--config.checkpoint_every=25", "--config.sample_every=50")


def write_config(folder, config):
    """Writes a config to a file for ``--config``, named after its task."""
    path = folder / f"{config['task']}.py"
    path.write_text(
        "from ml_collections import ConfigDict\n\n\n"
        f"def get_config():\n    return ConfigDict({config!r})\n"
    )
    return path

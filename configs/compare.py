r"""Every architecture on the same images, trained in turn, for a comparison.

    python train.py --config=configs/compare.py --workdir=runs/compare [--only=pixel_cnn]
    python train.py --config=configs/compare.py:cifar10 --workdir=runs/compare_cifar10
    python evaluate.py --compare runs/compare

Each run has its own folder. ``--config.runs.pixel_cnn.num_steps=10`` sets one key of one run. The
number of steps is as large as 2 CPU cores allow. A step of one model can take four times as long as
a step of another. The results for MNIST are in the README, the others in docs/models.md. The
sources are listed with the variants of mnist.
"""

from ml_collections import ConfigDict

from pixelprior.configs import cifar10, common, fashion_mnist, mnist
from pixelprior.experiment.recipes import Variant, resolve

# Attention needs a smaller learning rate than convolutions.
LEARNING_RATES = dict.fromkeys(common.SMALL, 3e-3) | {"pixel_snail": 2e-3, "transformer": 2e-3}


def _short(config: common.Config, name: str, num_steps: int) -> common.Config:
    """Shorten a config to a run of two to three minutes."""
    return config | {
        "batch_size": 16,
        "num_steps": num_steps,
        "learning_rate": LEARNING_RATES[name],
        "warmup_steps": 50,
        "ema_decay": 0.998,
        "log_every": 20,
        "checkpoint_every": num_steps,
        "sample_every": num_steps,
        "validation_fraction": 0.02,
    }


def _fashion_mnist(name: str, num_steps: int) -> common.Config:
    config = fashion_mnist.VARIANTS["" if name == "gated_pixel_cnn" else name].config
    # No image is used twice in this short run, so it needs no regularisation.
    model = config["model"] | {"dropout_rate": 0.0}
    return _short(config | {"model": model}, name, num_steps)


def _cifar10(name: str, num_steps: int) -> common.Config:
    model = common.network(name, **common.SMALL[name], head="logistic_mixture")
    return _short(cifar10.VARIANTS[""].config | {"model": model}, name, num_steps)


# Numbers of steps for Fashion-MNIST and for CIFAR-10.
NUM_STEPS = {
    "pixel_cnn": (400, 300),
    "gated_pixel_cnn": (320, 260),
    "row_lstm": (400, 300),
    "diagonal_bilstm": (160, 120),
    "pixel_cnn_pp": (400, 320),
    "pixel_snail": (180, 140),
    "transformer": (180, 140),
    "multi_scale": (600, 480),
}

# The model of configs/mnist.py, but with the size and the training time of the others.
_GATED = {"gated_pixel_cnn": mnist.small("gated_pixel_cnn", 1200)}
_OTHERS = {name: mnist.VARIANTS[name].config for name in common.SMALL if name not in _GATED}
_BASELINES = {name: mnist.VARIANTS[name].config for name in common.BASELINES}

VARIANTS = {
    "": Variant(
        "Every architecture on dynamically binarised MNIST, at about 300,000 parameters each, and "
        "two fully connected baselines",
        {"task": "compare", "runs": _GATED | _OTHERS | _BASELINES},
        "a table in the README, after about ten minutes each on 2 CPU cores",
    ),
    "cifar10": Variant(
        "Every architecture on CIFAR-10, 8-bit colour, in small: two to three minutes each",
        {
            "task": "compare",
            "runs": {name: _cifar10(name, steps) for name, (_, steps) in NUM_STEPS.items()},
        },
        "a table in docs/models.md. The networks have 320,000 to 390,000 parameters each, which "
        "suits 2 CPU cores. The networks of cifar10 suit accelerators",
    ),
    "fashion_mnist": Variant(
        "Every architecture on Fashion-MNIST, 16 levels, class-conditional: about two minutes each",
        {
            "task": "compare",
            "runs": {name: _fashion_mnist(name, steps) for name, (steps, _) in NUM_STEPS.items()},
        },
        "a table in docs/models.md. The networks are those of fashion_mnist, with 320,000 to "
        "390,000 parameters each. Each is trained for about two minutes on 2 CPU cores",
    ),
}


def get_config(variant: str = "") -> ConfigDict:
    """Return the config of a variant.

    `TASKS` in ``pixelprior/experiment/schema.py`` describes the keys.
    """
    return resolve(VARIANTS, variant)

r"""Every architecture on CIFAR-10, 8-bit colour, in small: two to three minutes each.

    python train.py --config=configs/compare_cifar10.py --workdir=runs/compare_cifar10 \
        [--only=pixel_cnn]
    python evaluate.py --compare runs/compare_cifar10

The configs of CIFAR-10 are of a size for accelerators; these are the same architectures at
320,000 to 390,000 parameters each, as they fit 2 CPU cores. What came out stands in docs/models.md.
"""

from ml_collections import ConfigDict

from pixelprior.configs import cifar10, compare

NUM_STEPS = {
    "pixel_cnn": 300,
    "gated_pixel_cnn": 260,
    "row_lstm": 300,
    "diagonal_bilstm": 120,
    "pixel_cnn_pp": 320,
    "pixel_snail": 140,
    "transformer": 140,
    "multi_scale": 480,
}
"""As many as fit: a step of one takes four times as long as one of another."""


def get_config() -> ConfigDict:
    """The experiments; `pixelprior.experiment.TASKS` says what each key means."""
    networks = compare.get_config().runs
    runs = {}
    for name, num_steps in NUM_STEPS.items():
        runs[name] = run = cifar10.get_config()
        run.model = networks[name].model
        run.model.embedding_features = 16
        run.model.head_features = 96
        run.model.head = "logistic_mixture"
        run.batch_size = 16
        run.num_steps = num_steps
        run.learning_rate = networks[name].learning_rate
        run.warmup_steps = 50
        run.ema_decay = 0.998
        run.log_every = 20
        run.checkpoint_every = num_steps
        run.sample_every = num_steps
        run.validation_fraction = 0.02
    return ConfigDict({"task": "compare", "runs": runs})

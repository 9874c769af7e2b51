r"""Every architecture on Fashion-MNIST, 16 levels, given the class: some two minutes each.

    python train.py --config=configs/compare_fashion_mnist.py \
        --workdir=runs/compare_fashion_mnist [--only=pixel_cnn]
    python evaluate.py --compare runs/compare_fashion_mnist

The networks are those of the configs of Fashion-MNIST, at 320,000 to 390,000 parameters each; they
learn from fewer images here, as many as two minutes on 2 CPU cores allow. What came out stands in
docs/models.md.
"""

from ml_collections import ConfigDict

from pixelprior.configs import (
    fashion_mnist,
    fashion_mnist_diagonal_bilstm,
    fashion_mnist_multi_scale,
    fashion_mnist_pixel_cnn,
    fashion_mnist_pixel_cnn_pp,
    fashion_mnist_pixel_snail,
    fashion_mnist_row_lstm,
    fashion_mnist_transformer,
)

# Of the steps that fit: a step of one takes four times as long as one of another.
RUNS = {
    "pixel_cnn": (fashion_mnist_pixel_cnn, 400),
    "gated_pixel_cnn": (fashion_mnist, 320),
    "row_lstm": (fashion_mnist_row_lstm, 400),
    "diagonal_bilstm": (fashion_mnist_diagonal_bilstm, 160),
    "pixel_cnn_pp": (fashion_mnist_pixel_cnn_pp, 400),
    "pixel_snail": (fashion_mnist_pixel_snail, 180),
    "transformer": (fashion_mnist_transformer, 180),
    "multi_scale": (fashion_mnist_multi_scale, 600),
}


def get_config() -> ConfigDict:
    """The experiments; `pixelprior.experiment.TASKS` says what each key means."""
    runs = {}
    for name, (config, num_steps) in RUNS.items():
        runs[name] = run = config.get_config()
        # Nothing is seen twice in this time, so that there is nothing to regularise.
        run.model.dropout_rate = 0.0
        run.batch_size = 16
        run.num_steps = num_steps
        run.warmup_steps = 50
        run.log_every = 20
        run.checkpoint_every = num_steps
        run.sample_every = num_steps
        run.validation_fraction = 0.02
    for name in ("pixel_snail", "transformer"):
        # Attention does not stand the step that convolutions do.
        runs[name].learning_rate = 2e-3
    return ConfigDict({"task": "compare", "runs": runs})

"""Every architecture on dynamically binarised MNIST, at about 300,000 parameters each.

    python train.py --config=configs/compare.py --workdir=runs/compare [--only=pixel_cnn]
    python evaluate.py --compare runs/compare

Each run is that of a config of its own and lies in a folder of its own. The steps are those of
about ten minutes each on 2 CPU cores; what came out stands in the README. One key of one run is set
by ``--config.runs.pixel_cnn.num_steps=10``.
"""

from ml_collections import ConfigDict

from pixelprior.configs import (
    mnist,
    mnist_diagonal_bilstm,
    mnist_multi_scale,
    mnist_pixel_cnn,
    mnist_pixel_cnn_pp,
    mnist_pixel_snail,
    mnist_row_lstm,
    mnist_transformer,
)


def get_config() -> ConfigDict:
    """The experiments; `pixelprior.experiment.TASKS` says what each key means."""
    # That of configs/mnist.py, as large and trained for as long as the others.
    gated_pixel_cnn = mnist.get_config()
    gated_pixel_cnn.model.features = 40
    gated_pixel_cnn.model.num_layers = 8
    gated_pixel_cnn.batch_size = 16
    gated_pixel_cnn.num_steps = 1200
    gated_pixel_cnn.checkpoint_every = 300
    gated_pixel_cnn.sample_every = 1200
    runs = {
        "pixel_cnn": mnist_pixel_cnn.get_config(),
        "gated_pixel_cnn": gated_pixel_cnn,
        "row_lstm": mnist_row_lstm.get_config(),
        "diagonal_bilstm": mnist_diagonal_bilstm.get_config(),
        "pixel_cnn_pp": mnist_pixel_cnn_pp.get_config(),
        "pixel_snail": mnist_pixel_snail.get_config(),
        "transformer": mnist_transformer.get_config(),
        "multi_scale": mnist_multi_scale.get_config(),
    }
    return ConfigDict({"task": "compare", "runs": runs})

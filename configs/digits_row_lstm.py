"""Row LSTM on scikit-learn's digits: configs/digits.py with another model.

    python train.py --config=configs/digits_row_lstm.py --workdir=runs/digits_row_lstm

Measured: 1.798 bits/dim (79.77 nats) on the test split after 0.8 minutes on 2 CPU cores. Source:
van den Oord et al. 2016a, section 3.1.
"""

from ml_collections import ConfigDict

from pixelprior.configs import digits


def get_config() -> ConfigDict:
    """The experiment; `pixelprior.experiment.TASKS` says what each key means."""
    config = digits.get_config()
    config.model = ConfigDict(
        {
            "name": "row_lstm",
            "features": 40,
            "num_layers": 4,
            "kernel_size": 3,
            "first_kernel_size": 7,
            "embedding_features": 16,
            "head_features": 96,
            "head": "softmax",
            "num_mixtures": 10,
            "dropout_rate": 0.3,
            "dtype": "float32",
            "remat": False,
        }
    )
    return config

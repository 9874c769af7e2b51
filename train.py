"""Trains a model, or goes on with an interrupted run.

python train.py --config=configs/digits.py --workdir=runs/digits [--config.key=value ...]
"""

from absl import flags
from ml_collections import config_flags

from pixelprior import cli
from pixelprior.training.loop import train

_CONFIG = config_flags.DEFINE_config_file("config", None, "The experiment.", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "The run folder; made if it is not there.")
flags.mark_flags_as_required(["config", "workdir"])


def main() -> None:
    train(_CONFIG.value.to_dict(), _WORKDIR.value)


if __name__ == "__main__":
    cli.run(main)

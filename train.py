"""Trains a model, or goes on with an interrupted run.

python train.py --config=configs/digits.py --workdir=runs/digits [--config.key=value ...]
"""

import signal

from absl import flags
from ml_collections import config_flags

from pixelprior.commands import cli
from pixelprior.errors import InputError
from pixelprior.training.loop import train

_CONFIG = config_flags.DEFINE_config_file("config", None, "The experiment.", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "The run folder, new or old.", required=True)
flags.mark_flag_as_required("config")


def main() -> int:
    """One call, from the flags; the exit status that shells expect after Ctrl-C is 130."""
    try:
        config = _CONFIG.value.to_dict()
    # The file is opened when the config is first asked for.
    except OSError as error:
        # The last line says what is wrong with which file.
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"the config file cannot be loaded: {reason}") from error
    result = train(config, _WORKDIR.value)
    return 130 if result.stopped_by == signal.SIGINT else 0


if __name__ == "__main__":
    cli.run(main)

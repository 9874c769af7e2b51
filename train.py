"""Trains a model, a tokenizer or a prior, or goes on with an interrupted run.

python train.py --config=configs/digits.py --workdir=runs/digits [--config.key=value ...]
python train.py --config=configs/digits_prior.py --workdir=runs/prior --tokenizer=runs/vqvae
"""

import signal

from absl import flags
from ml_collections import config_flags

from pixelprior.commands import cli
from pixelprior.commands.train import train_run
from pixelprior.errors import InputError

_CONFIG = config_flags.DEFINE_config_file("config", None, "The experiment.", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "The run folder, new or old.", required=True)
_TOKENIZER = flags.DEFINE_string("tokenizer", None, "For a new prior, its tokenizer's run folder.")
_PRIOR = flags.DEFINE_string("prior", None, "The prior that learned config.trained_levels' others.")
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
    result = train_run(config, _WORKDIR.value, tokenizer=_TOKENIZER.value, prior=_PRIOR.value)
    return 130 if result.stopped_by == signal.SIGINT else 0


if __name__ == "__main__":
    cli.run(main)

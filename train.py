"""Trains a model, a tokenizer or a prior, or a list of models; or goes on where it was stopped.

python train.py --config=configs/digits.py --workdir=runs/digits [--config.key=value ...]
python train.py --config=configs/digits_prior.py --workdir=runs/prior --tokenizer=runs/vqvae
python train.py --config=configs/compare.py --workdir=runs/compare [--only=pixel_cnn,...]
"""

import signal

from absl import flags
from ml_collections import config_flags

from pixelprior.commands import cli
from pixelprior.commands.train import train_run
from pixelprior.commands.train_list import train_list
from pixelprior.errors import InputError

_CONFIG = config_flags.DEFINE_config_file("config", None, "The experiment.", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "The run folder, new or old.", required=True)
_TOKENIZER = flags.DEFINE_string("tokenizer", None, "For a new prior, its tokenizer's run folder.")
_PRIOR = flags.DEFINE_string("prior", None, "The prior that learned config.trained_levels' others.")
_ONLY = flags.DEFINE_list("only", None, "Of a list of runs, the names of those to train.")
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
    if config.get("task") == "compare":
        if _TOKENIZER.value is not None or _PRIOR.value is not None:
            raise InputError("--tokenizer and --prior are for training a prior, not a list of runs")
        stopped_by = train_list(config, _WORKDIR.value, only=_ONLY.value)
    else:
        if _ONLY.value is not None:
            raise InputError("--only is for a config with a list of runs, like configs/compare.py")
        result = train_run(config, _WORKDIR.value, tokenizer=_TOKENIZER.value, prior=_PRIOR.value)
        stopped_by = result.stopped_by
    return 130 if stopped_by == signal.SIGINT else 0


if __name__ == "__main__":
    cli.run(main)

"""Train a model, a tokenizer or a prior, or a list of models; or resume a run that was stopped.

python train.py --config=configs/digits.py --workdir=runs/digits [--config.key=value ...]
python train.py --config=configs/digits.py:prior --workdir=runs/prior --tokenizer=runs/vqvae
python train.py --config=configs/compare.py --workdir=runs/compare [--only=pixel_cnn,...]
python train.py --config=configs/digits.py --workdir=runs/tuned --init_from=runs/other
python train.py --config=configs/digits.py --plan
python train.py --config=configs/digits.py --workdir=runs/digits --wandb=PROJECT
python train.py ... --coordinator=HOST:PORT --num_processes=4 --process_id=0
"""

from typing import NoReturn

from pixelprior.cli import app
from pixelprior.cli.flag_uses import check_flags
from pixelprior.cli.flags import Flags
from pixelprior.cli.help import FlagGroups
from pixelprior.errors import InputError

FLAGS = Flags()

_CONFIG = FLAGS.config(
    "config",
    "Config file, or name of a recipe. The command `pixelprior configs` lists the recipes.",
)
_WORKDIR = FLAGS.run("workdir", "The run folder, new or to resume.", bundled=False)
_TOKENIZER = FLAGS.run(
    "tokenizer", "Run folder or exported file of the tokenizer, for a new prior."
)
_PRIOR = FLAGS.run(
    "prior",
    "Run folder of a prior with the levels that config.trained_levels leaves out.",
    bundled=False,
)
_INIT_FROM = FLAGS.run(
    "init_from", "Run folder, file or bundled model whose weights a new run starts from."
)
_DATA = FLAGS.path("data", None, "Folder or .npz file of the data set, if it has moved.")
_DATA_DIR = FLAGS.path("data_dir", None, "Folder of TensorFlow Datasets, if it has moved.")
_ONLY = FLAGS.names("only", None, "Names of the runs to train, if the config lists several.")
_PLAN = FLAGS.switch("plan", False, "Print the requirements of a run, and train nothing.")
_PROFILE = FLAGS.string("profile", None, "Steps to trace, as START:STOP.")
_WANDB = FLAGS.string("wandb", None, "Project of Weights & Biases to log to.")
_COORDINATOR = FLAGS.string("coordinator", None, "HOST:PORT of the first process.")
_NUM_PROCESSES = FLAGS.integer("num_processes", None, "Number of processes.")
_PROCESS_ID = FLAGS.integer("process_id", None, "Number of this process, from 0.")

FLAG_GROUPS: FlagGroups = {
    "The run": {
        "config": "digits:pixel_snail",
        "workdir": "runs/digits",
        "tokenizer": "runs/digits_vqvae",
        "prior": "runs/digits_prior_top",
        "init_from": "runs/digits",
        "only": "pixel_cnn,row_lstm",
        "data": "/data/faces",
        "data_dir": "/data/tensorflow_datasets",
    },
    "Without training": {"plan": ""},
    "Reports": {"profile": "20:25", "wandb": "my-project"},
    "Several processes": {
        "coordinator": "host0:1234",
        "num_processes": "4",
        "process_id": "0",
    },
}

_ALWAYS = {
    "config",
    "workdir",
    "data",
    "data_dir",
    "plan",
    "coordinator",
    "num_processes",
    "process_id",
}

_ACCEPTED = {
    "a config of one run": _ALWAYS | {"tokenizer", "prior", "init_from", "profile", "wandb"},
    "a list of runs": _ALWAYS | {"only", "wandb"},
    "--plan": _ALWAYS | {"tokenizer", "prior", "only"},
}
"""Flags that have an effect in each use. With --plan, only a prior uses its run folder."""


def main() -> int:
    """Train as the flags ask, in one process or as one of several."""
    # Imported here, since help needs none of them.
    from pixelprior.system.processes import joined
    from pixelprior.training.interruption import without_saves

    with without_saves(), joined(_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value):
        return _main()


def _main() -> int:
    """Train or plan; return the exit status, as shells expect it after a signal."""
    from pixelprior.experiment import Place
    from pixelprior.runs.train import plan_run, train_run
    from pixelprior.runs.train_list import plan_list, train_list
    from pixelprior.system.console import Terminal, show
    from pixelprior.training.profile import parse_steps

    config = _CONFIG.value.to_dict()
    report = Terminal()
    is_list = config.get("task") == "compare"
    uses = ["a list of runs" if is_list else "a config of one run"] + ["--plan"] * _PLAN.value
    for use in uses:
        check_flags(use, _ACCEPTED[use], FLAGS)
    place = Place(_DATA.value, _DATA_DIR.value)
    others = {"tokenizer": _TOKENIZER.value, "prior": _PRIOR.value}
    profiled = None if _PROFILE.value is None else parse_steps(_PROFILE.value)
    if _PLAN.value and is_list:
        for name, plan in plan_list(config, only=_ONLY.value, place=place):
            show(f"{name}: {plan.words()}\n".split("\n"))
        return 0
    if _PLAN.value:
        plan = plan_run(config, _WORKDIR.value, place=place, report=report, **others)
        show(plan.words().split("\n"))
        return 0
    if not _WORKDIR.value:
        raise InputError("give the folder of the run, new or old, with --workdir=...")
    if is_list:
        stopped_by = train_list(
            config,
            _WORKDIR.value,
            only=_ONLY.value,
            wandb_project=_WANDB.value,
            place=place,
            report=report,
        )
    else:
        stopped_by = train_run(
            config,
            _WORKDIR.value,
            init_from=_INIT_FROM.value,
            profiled=profiled,
            wandb_project=_WANDB.value,
            place=place,
            report=report,
            **others,
        ).stopped_by
    return 0 if stopped_by is None else 128 + stopped_by


def run() -> NoReturn:
    """Run the command line and exit the process."""
    app.run(main, FLAGS, FLAG_GROUPS)

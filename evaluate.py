"""Measures a trained model on a whole split, beside honest yardsticks; or several side by side.

python evaluate.py --workdir=runs/digits [--split=test] [--json=results.json]
python evaluate.py --workdir=runs/prior --num_samples=1000
python evaluate.py --workdir=runs/digits --receptive_field=field.png
python evaluate.py --compare runs/a runs/b [--out=compare] [--json=results.json]
"""

from collections.abc import Sequence

from absl import flags

from pixelprior.commands import cli
from pixelprior.commands.compare import compare_runs
from pixelprior.commands.evaluate import evaluate_run
from pixelprior.commands.receptive_field import draw_receptive_field
from pixelprior.errors import InputError

_WORKDIR = flags.DEFINE_string("workdir", None, "The run folder.")
_SPLIT = flags.DEFINE_enum("split", "test", ["test", "validation"], "Which images.")
_JSON = flags.DEFINE_string("json", None, "A file to write the results to, as JSON.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "How many images to score at once.")
_BASELINES = flags.DEFINE_bool("baselines", True, "Fit and measure the yardsticks too.")
_NUM_SAMPLES = flags.DEFINE_integer(
    "num_samples", 0, "How many samples of a class-conditional prior a classifier is to judge."
)
_CHECKPOINT = flags.DEFINE_enum("checkpoint", "best", ["best", "latest"], "Which weights.")
_AVERAGED = flags.DEFINE_bool("averaged", True, "Their moving average, or the raw ones.")
_RECEPTIVE_FIELD = flags.DEFINE_string(
    "receptive_field", None, "Draw which positions the model sees to this PNG, and measure nothing."
)
_COMPARE = flags.DEFINE_bool(
    "compare", False, "Measure the runs whose folders follow, or all runs in such a folder."
)
_OUT = flags.DEFINE_string("out", "compare", "The folder for the figures of --compare.")

# What each of the three things that this script does takes.
_FLAGS = {
    "--compare": ("compare", "split", "json", "batch_size", "out"),
    "--receptive_field": ("receptive_field", "workdir", "checkpoint", "averaged"),
    "an evaluation": (
        *("workdir", "split", "json", "batch_size", "baselines", "num_samples"),
        *("checkpoint", "averaged"),
    ),
}


def main(folders: Sequence[str]) -> None:
    """One call, from the flags and the folders to compare."""
    field, workdir = _RECEPTIVE_FIELD.value, _WORKDIR.value
    what = "--compare" if _COMPARE.value else "--receptive_field" if field else "an evaluation"
    given = {name for names in _FLAGS.values() for name in names if flags.FLAGS[name].present}
    for name in sorted(given - set(_FLAGS[what])):
        raise InputError(f"--{name} is not for {what}; leave it out")
    if _COMPARE.value:
        compare_runs(
            folders,
            split=_SPLIT.value,
            out=_OUT.value,
            json_file=_JSON.value,
            batch_size=_BATCH_SIZE.value,
        )
        return
    if folders:
        raise InputError(
            f"arguments are given as --flag=value, got {' '.join(folders)!r}; run folders to "
            "compare follow --compare"
        )
    if workdir is None:
        raise InputError("--workdir must be given: the folder of the run to measure")
    if field:
        draw_receptive_field(workdir, field, checkpoint=_CHECKPOINT.value, averaged=_AVERAGED.value)
        return
    evaluate_run(
        workdir,
        split=_SPLIT.value,
        json_file=_JSON.value,
        batch_size=_BATCH_SIZE.value,
        baselines=_BASELINES.value,
        checkpoint=_CHECKPOINT.value,
        averaged=_AVERAGED.value,
        num_samples=_NUM_SAMPLES.value,
    )


if __name__ == "__main__":
    cli.run(main, takes_names=True)

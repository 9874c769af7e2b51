"""Measure a trained model on a whole split, with baselines; or compare several runs.

python evaluate.py --workdir=runs/digits [--split=test] [--limit=1000] [--json=results.json]
python evaluate.py --workdir=runs/digits --num_samples=1000 [--features=inception]
python evaluate.py --workdir=runs/digits --samples=samples.npz
python evaluate.py --workdir=runs/digits --cost
python evaluate.py --workdir=runs/digits --receptive_field=field.png
python evaluate.py --compare runs/a runs/b [--out=compare] [--json=results.json]
python evaluate.py --compare runs/a runs/b --report=report
"""

from collections.abc import Sequence
from typing import NoReturn

from pixelprior.cli import app
from pixelprior.cli.flag_uses import check_flags
from pixelprior.cli.flags import Flags
from pixelprior.cli.help import FlagGroups
from pixelprior.errors import InputError
from pixelprior.system.home import expand_home

FLAGS = Flags()

_WORKDIR = FLAGS.run(
    "workdir", "The run to measure: a folder, an exported file or a bundled model."
)
_DATA = FLAGS.path("data", None, "Folder or .npz file of the data set, if it has moved.")
_DATA_DIR = FLAGS.path("data_dir", None, "Folder of TensorFlow Datasets, if it has moved.")
_SPLIT = FLAGS.choice("split", "test", ["test", "validation"], "Split to measure.")
_LIMIT = FLAGS.integer(
    "limit", 0, "Number of images to measure, the first of the split; 0 for all."
)
_JSON = FLAGS.path("json", None, "File for the results, as JSON.")
_PER_IMAGE = FLAGS.path("per_image", None, "An .npz file for the values of each image.")
_BATCH_SIZE = FLAGS.integer("batch_size", 64, "Number of images to score at once.")
_BASELINES = FLAGS.switch("baselines", True, "Fit and measure baselines too.")
_MARGINAL = FLAGS.switch(
    "marginal",
    False,
    "Measure a class-conditional model without classes too.",
)
_NUM_SAMPLES = FLAGS.integer("num_samples", 0, "Number of samples to draw and judge.")
_SAMPLES = FLAGS.path(
    "samples", None, "File of samples to judge, from sample.py --out=samples.npz; draws none."
)
_FEATURES = FLAGS.choice(
    "features",
    "classifier",
    ["classifier", "inception"],
    "Network whose features judge the samples: classifier, a small network trained on the same "
    "data set; or inception, the network of FID.",
)
_INCEPTION_WEIGHTS = FLAGS.path(
    "inception_weights", None, "File of the Inception weights; by default they are downloaded."
)
_CHECKPOINT = FLAGS.choice("checkpoint", "best", ["best", "latest"], "Checkpoint to load.")
_AVERAGED = FLAGS.switch(
    "averaged", True, "Use the moving average of the weights, not the raw ones."
)
_RECEPTIVE_FIELD = FLAGS.path(
    "receptive_field", None, "PNG file for a picture of the receptive field; measures nothing else."
)
_COST = FLAGS.switch("cost", False, "Measure the costs of training and sampling, and nothing else.")
_COMPARE = FLAGS.switch(
    "compare", False, "Compare the runs that follow; a folder of runs counts as all of them."
)
_REPORT = FLAGS.path(
    "report", None, "Folder for one HTML page of all results of the runs of --compare."
)
_OUT = FLAGS.path("out", "compare", "Folder for the table and figures of --compare.")

FLAG_GROUPS: FlagGroups = {
    "One run": {
        "workdir": "runs/digits",
        "split": "validation",
        "limit": "1000",
        "checkpoint": "latest",
        "averaged": "",
        "baselines": "",
        "marginal": "",
        "cost": "",
        "receptive_field": "field.png",
    },
    "Its samples": {
        "num_samples": "1000",
        "samples": "samples.npz",
        "features": "inception",
        "inception_weights": "inception.pth",
    },
    "Several runs": {"compare": "", "report": "report", "out": "compare"},
    "Results and work": {"json": "results.json", "per_image": "nats.npz", "batch_size": "16"},
    "Data that have moved": {"data": "/data/faces", "data_dir": "/data/tensorflow_datasets"},
}

_ACCEPTED = {
    "--compare": ("compare", "split", "json", "batch_size", "out", "data", "data_dir"),
    "--report": ("compare", "report", "split", "batch_size", "data", "data_dir"),
    "--cost": ("cost", "workdir", "json", "data", "data_dir"),
    "--receptive_field": ("receptive_field", "workdir", "checkpoint", "averaged"),
    "an evaluation of one run": (
        *("workdir", "split", "limit", "json", "batch_size", "baselines", "marginal"),
        *("checkpoint", "averaged"),
        *("num_samples", "samples", "features", "inception_weights", "per_image"),
        *("data", "data_dir"),
    ),
}
"""Flags that have an effect in each use."""


def main(folders: Sequence[str]) -> None:
    """Call the function that the flags ask for, with the folders to compare."""
    # Each use imports its own modules, since help needs none of them.
    from pixelprior.experiment import Place

    field, workdir = _RECEPTIVE_FIELD.value, _WORKDIR.value
    folders = [expand_home(folder) for folder in folders]
    asked = {
        "--report": _REPORT.value,
        "--compare": _COMPARE.value,
        "--cost": _COST.value,
        "--receptive_field": field,
    }
    use = next((name for name, value in asked.items() if value), "an evaluation of one run")
    check_flags(use, _ACCEPTED[use], FLAGS)
    place = Place(_DATA.value, _DATA_DIR.value)
    if _REPORT.value:
        if not _COMPARE.value:
            raise InputError("--report is of the runs that follow --compare")
        from pixelprior.cli.report.write import write_report

        write_report(
            folders,
            _REPORT.value,
            split=_SPLIT.value,
            batch_size=_BATCH_SIZE.value,
            place=place,
        )
        return
    if _COMPARE.value:
        from pixelprior.cli.compare import compare_runs

        compare_runs(
            folders,
            split=_SPLIT.value,
            out=_OUT.value,
            json_file=_JSON.value,
            batch_size=_BATCH_SIZE.value,
            place=place,
        )
        return
    if folders:
        raise InputError(
            f"arguments are given as --flag=value, got {' '.join(folders)!r}; run folders to "
            "compare follow --compare"
        )
    if workdir is None:
        raise InputError("--workdir must be given: the folder or the file of the run to measure")
    if _COST.value:
        from pixelprior.cli.cost import measure_cost

        measure_cost(workdir, json_file=_JSON.value, place=place)
        return
    if field:
        from pixelprior.cli.receptive_field import draw_receptive_field

        draw_receptive_field(workdir, field, checkpoint=_CHECKPOINT.value, averaged=_AVERAGED.value)
        return
    from pixelprior.cli.evaluate_run import evaluate_run

    evaluate_run(
        workdir,
        split=_SPLIT.value,
        limit=_LIMIT.value,
        json_file=_JSON.value,
        batch_size=_BATCH_SIZE.value,
        baselines=_BASELINES.value,
        marginal=_MARGINAL.value,
        checkpoint=_CHECKPOINT.value,
        averaged=_AVERAGED.value,
        num_samples=_NUM_SAMPLES.value,
        samples=_SAMPLES.value,
        features=_FEATURES.value,
        inception_weights=_INCEPTION_WEIGHTS.value,
        per_image=_PER_IMAGE.value,
        place=place,
    )


def run() -> NoReturn:
    """Run the command line and exit the process."""
    app.run(main, FLAGS, FLAG_GROUPS, takes_names=True)

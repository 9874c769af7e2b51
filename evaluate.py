"""Measures a trained model on a whole split, beside honest yardsticks.

python evaluate.py --workdir=runs/digits [--split=test] [--json=results.json]
python evaluate.py --workdir=runs/prior --num_samples=1000
"""

from absl import flags

from pixelprior.commands import cli
from pixelprior.commands.evaluate import evaluate_run

_WORKDIR = flags.DEFINE_string("workdir", None, "The run folder.", required=True)
_SPLIT = flags.DEFINE_enum("split", "test", ["test", "validation"], "Which images.")
_JSON = flags.DEFINE_string("json", None, "A file to write the results to, as JSON.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "How many images to score at once.")
_BASELINES = flags.DEFINE_bool("baselines", True, "Fit and measure the yardsticks too.")
_NUM_SAMPLES = flags.DEFINE_integer(
    "num_samples", 0, "How many samples of a class-conditional prior a classifier is to judge."
)
_CHECKPOINT = flags.DEFINE_enum("checkpoint", "best", ["best", "latest"], "Which weights.")
_AVERAGED = flags.DEFINE_bool("averaged", True, "Their moving average, or the raw ones.")


def main() -> None:
    """One call, from the flags."""
    evaluate_run(
        _WORKDIR.value,
        split=_SPLIT.value,
        json_file=_JSON.value,
        batch_size=_BATCH_SIZE.value,
        baselines=_BASELINES.value,
        checkpoint=_CHECKPOINT.value,
        averaged=_AVERAGED.value,
        num_samples=_NUM_SAMPLES.value,
    )


if __name__ == "__main__":
    cli.run(main)

"""Draws samples from a trained model, as pictures.

python sample.py --workdir=runs/digits --num=64 --out=samples.png
python sample.py --workdir=runs/digits --num=1000 --out=samples --individual
"""

from absl import flags

from pixelprior.commands import cli
from pixelprior.commands.sample import sample_to_files
from pixelprior.sampling.strategies import strategies_from

_WORKDIR = flags.DEFINE_string("workdir", None, "The run folder.", required=True)
_OUT = flags.DEFINE_string("out", None, "A PNG file, or with --individual a folder.", required=True)
_NUM = flags.DEFINE_integer("num", 64, "How many images.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "How many images to draw at once.")
_SEED = flags.DEFINE_integer("seed", 0, "Image n of a seed is always the same picture.")
_TEMPERATURE = flags.DEFINE_float("temperature", 1.0, "Below 1 bolder, above 1 flatter.")
_TOP_K = flags.DEFINE_integer("top_k", None, "Draw only from the k likeliest levels.")
_TOP_P = flags.DEFINE_float("top_p", None, "Draw only from the likeliest levels of this mass.")
_LABEL = flags.DEFINE_string("label", None, "A class, by number or name; by default all in turn.")
_METHOD = flags.DEFINE_enum("method", "cached", ["cached", "naive"], "The same images, slowly.")
_CHECKPOINT = flags.DEFINE_enum("checkpoint", "best", ["best", "latest"], "Which weights.")
_AVERAGED = flags.DEFINE_bool("averaged", True, "Their moving average, or the raw ones.")
_GRID = flags.DEFINE_bool("grid", True, "One picture of all images.")
_INDIVIDUAL = flags.DEFINE_bool("individual", False, "One file for each image, in a folder.")


def main() -> None:
    """One call, from the flags."""
    sample_to_files(
        _WORKDIR.value,
        _OUT.value,
        num=_NUM.value,
        batch_size=_BATCH_SIZE.value,
        seed=_SEED.value,
        strategies=strategies_from(
            temperature=_TEMPERATURE.value, top_k=_TOP_K.value, top_p=_TOP_P.value
        ),
        label=_LABEL.value,
        method=_METHOD.value,
        checkpoint=_CHECKPOINT.value,
        averaged=_AVERAGED.value,
        individual=_INDIVIDUAL.value or not _GRID.value,
    )


if __name__ == "__main__":
    cli.run(main)

"""Draws pictures of what was trained: samples, reconstructions, random codes, walks.

python sample.py --workdir=runs/digits --num=64 --out=samples.png
python sample.py --workdir=runs/digits --num=1000 --out=samples --individual
python sample.py --workdir=runs/prior --mode=reconstruct --out=reconstructions.png
"""

from absl import flags

from pixelprior.commands import cli
from pixelprior.commands.sample import sample_to_files
from pixelprior.errors import InputError
from pixelprior.sampling.strategies import strategies_from

_WORKDIR = flags.DEFINE_string("workdir", None, "The run folder.", required=True)
_OUT = flags.DEFINE_string("out", None, "A PNG file, or with --individual a folder.", required=True)
_NUM = flags.DEFINE_integer("num", 64, "How many images.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "How many images to draw at once.")
_SEED = flags.DEFINE_integer("seed", 0, "Image n of a seed is always the same picture.")
_MODE = flags.DEFINE_enum(
    "mode",
    "sample",
    ["sample", "reconstruct", "random_codes", "interpolate"],
    "Samples; of a tokenizer or prior also test images above what their codes keep of them, images "
    "of random codes, and walks between the codes of two test images.",
)
_TEMPERATURE = flags.DEFINE_list(
    "temperature", ["1"], "Below 1 bolder, above 1 flatter; or one for each level, the top first."
)
_TOP_K = flags.DEFINE_integer("top_k", None, "Draw only from the k likeliest levels.")
_TOP_P = flags.DEFINE_float("top_p", None, "Draw only from the likeliest levels of this mass.")
_LABEL = flags.DEFINE_string("label", None, "A class, by number or name; by default all in turn.")
_GUIDANCE = flags.DEFINE_float("guidance", None, "How far to go towards the class; 1 is as is.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where test images are, if they have moved.")
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
        strategies=[
            strategies_from(temperature=temperature, top_k=_TOP_K.value, top_p=_TOP_P.value)
            for temperature in _temperatures()
        ],
        mode=_MODE.value,
        guidance=_GUIDANCE.value,
        data_dir=_DATA_DIR.value,
        label=_LABEL.value,
        method=_METHOD.value,
        checkpoint=_CHECKPOINT.value,
        averaged=_AVERAGED.value,
        individual=_INDIVIDUAL.value or not _GRID.value,
    )


def _temperatures() -> list[float]:
    try:
        return [float(temperature) for temperature in _TEMPERATURE.value]
    except ValueError:
        raise InputError(
            f"temperature must be a number, or numbers with commas between them, "
            f"got {','.join(_TEMPERATURE.value)!r}"
        ) from None


if __name__ == "__main__":
    cli.run(main)

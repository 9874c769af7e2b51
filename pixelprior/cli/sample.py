"""Make pictures with a trained run: samples, reconstructions, random codes, walks.

python sample.py --workdir=runs/digits --num=64 --out=samples.png
python sample.py --workdir=runs/digits --num=1000 --out=samples --individual
python sample.py --workdir=runs/digits --num=50000 --out=samples.npz
python sample.py --workdir=runs/digits --mode=complete --known=top --out=completed.png
python sample.py --workdir=runs/digits --mode=progress --num=16 --out=progress.gif
python sample.py --workdir=runs/prior --mode=reconstruct --out=reconstructions.png
"""

from typing import NoReturn

from pixelprior.cli import app
from pixelprior.cli.attributes import read_attributes
from pixelprior.cli.flag_uses import check_flags
from pixelprior.cli.flags import Flags
from pixelprior.cli.help import FlagGroups
from pixelprior.errors import InputError

_ALWAYS = {"workdir", "out", "num", "mode", "checkpoint", "averaged", "overwrite"}
_STRATEGIES = {"temperature", "top_k", "top_p", "min_p", "greedy"}
_DRAWN = {"seed", "label", "attributes", "guidance", "guidance_schedule", "method"}
_REAL_IMAGES = {"seed", "images", "data", "data_dir"}
_FILES = {"batch_size", "grid", "individual"}

_ACCEPTED = {
    "sample": _ALWAYS | _DRAWN | _STRATEGIES | _FILES,
    "complete": _ALWAYS | _DRAWN | _STRATEGIES | _REAL_IMAGES | _FILES | {"known"},
    "progress": _ALWAYS | _DRAWN | _STRATEGIES,
    "sweep": _ALWAYS | _DRAWN,
    "likelihood": _ALWAYS | _REAL_IMAGES | _FILES,
    "reconstruct": _ALWAYS | _REAL_IMAGES | _FILES,
    "random_codes": _ALWAYS | _FILES | {"seed"},
    "interpolate": _ALWAYS | _REAL_IMAGES | _FILES,
}
"""Flags that have an effect in each mode, on images of the data set."""

# Images of the user come in the order of their files, and from no data set.
_NOT_OF_OWN_IMAGES = {"data", "data_dir"}
_ACCEPTED_FOR_OWN = {
    "complete": _ACCEPTED["complete"] - _NOT_OF_OWN_IMAGES,
    "likelihood": (_ACCEPTED["likelihood"] | {"label", "attributes"})
    - _NOT_OF_OWN_IMAGES
    - {"seed"},
    "reconstruct": _ACCEPTED["reconstruct"] - _NOT_OF_OWN_IMAGES - {"seed"},
    "interpolate": _ACCEPTED["interpolate"] - _NOT_OF_OWN_IMAGES - {"seed"},
}
"""Flags that have an effect in each mode, with --images."""

FLAGS = Flags()

_WORKDIR = FLAGS.run(
    "workdir",
    "The run to sample from: a folder, an exported file or a bundled model.",
    required=True,
)
_OUT = FLAGS.path(
    "out", None, "A .png or .npz file to write; with --individual, a folder.", required=True
)
_NUM = FLAGS.integer(
    "num", None, "Number of images; by default 64, or one for each image of --images."
)
_BATCH_SIZE = FLAGS.integer("batch_size", 64, "Number of images to draw at once.")
_SEED = FLAGS.integer("seed", 0, "Seed of the images; image n of a seed is always the same.")
_MODE = FLAGS.choice(
    "mode",
    "sample",
    list(_ACCEPTED),
    "Kind of picture. sample: new images. complete: test images whose unknown part is drawn. "
    "progress: samples at several stages of drawing. sweep: the same samples at several "
    "temperatures and values of top_p. likelihood: test images above the bits of each pixel. "
    "Only for a tokenizer or prior: reconstruct: test images above their reconstructions; "
    "random_codes: images of random codes; interpolate: walks between the codes of two test "
    "images.",
)
_KNOWN = FLAGS.path(
    "known", None, "Known part for --mode=complete: top, left, or a black and white picture of it."
)
_IMAGES = FLAGS.path(
    "images", None, "Images to use instead of test images: an image file, or folder:/path."
)
_TEMPERATURE = FLAGS.names(
    "temperature", ["1"], "Temperature, or one for each level, the top first; below 1 is bolder."
)
_TOP_K = FLAGS.integer("top_k", None, "Draw only from the k likeliest values.")
_TOP_P = FLAGS.number(
    "top_p", None, "Draw only from the likeliest values whose probabilities reach this sum."
)
_MIN_P = FLAGS.number(
    "min_p", None, "Draw only from values at least this many times as likely as the likeliest."
)
_GREEDY = FLAGS.switch("greedy", False, "Take the likeliest value of every symbol.")
_LABEL = FLAGS.string("label", None, "Class to draw, by number or name; by default all in turn.")
_ATTRIBUTES = FLAGS.names(
    "attributes",
    [],
    "Attributes of all images, as NAME=NUMBER with commas between them. All others are those of "
    "test images in turn.",
)
_GUIDANCE = FLAGS.number("guidance", None, "Strength of guidance; 1 is the model itself.")
_GUIDANCE_SCHEDULE = FLAGS.choice(
    "guidance_schedule",
    "constant",
    ["constant", "linear", "cosine"],
    "Course of the guidance over the image: one strength, or from 1 up to --guidance.",
)
_DATA = FLAGS.path("data", None, "Folder or .npz file of the data set, if it has moved.")
_DATA_DIR = FLAGS.path("data_dir", None, "Folder of TensorFlow Datasets, if it has moved.")
_METHOD = FLAGS.choice(
    "method",
    "auto",
    ["auto", "cached", "fixed_point", "whole_grids", "naive"],
    "Method of drawing; every method gives the same images.",
)
_CHECKPOINT = FLAGS.choice("checkpoint", "best", ["best", "latest"], "Checkpoint to load.")
_AVERAGED = FLAGS.switch(
    "averaged", True, "Use the moving average of the weights, not the raw ones."
)
_GRID = FLAGS.switch("grid", True, "Write one picture of all images.")
_OVERWRITE = FLAGS.switch("overwrite", False, "Replace the file or folder if it exists.")
_INDIVIDUAL = FLAGS.switch("individual", False, "Write one file for each image, in a folder.")

FLAG_GROUPS: FlagGroups = {
    "The run": {
        "workdir": "runs/digits",
        "checkpoint": "latest",
        "averaged": "",
        "data": "/data/faces",
        "data_dir": "/data/tensorflow_datasets",
    },
    "The pictures": {
        "mode": "complete",
        "num": "64",
        "seed": "1",
        "label": "7",
        "attributes": "smiling=1,age=-0.5",
        "known": "left",
        "images": "folder:my_images",
    },
    "The choice of symbols": {
        "temperature": "0.9",
        "top_k": "5",
        "top_p": "0.95",
        "min_p": "0.05",
        "greedy": "",
        "guidance": "2",
        "guidance_schedule": "linear",
    },
    "The files": {"out": "samples.png", "individual": "", "grid": "", "overwrite": ""},
    "The work": {"method": "fixed_point", "batch_size": "16"},
}


def main() -> None:
    """Make the pictures that the flags ask for."""
    # Imported here, since help needs none of them.
    from pixelprior.cli.sample_files import NUM, sample_to_files
    from pixelprior.sampling.strategies import strategies_from
    from pixelprior.system.devices import split_cpu

    use, accepted = f"--mode={_MODE.value}", _ACCEPTED[_MODE.value]
    if _IMAGES.value and _MODE.value in _ACCEPTED_FOR_OWN:
        use, accepted = f"{use} and --images", _ACCEPTED_FOR_OWN[_MODE.value]
    check_flags(use, accepted, FLAGS)
    split_cpu(min(_NUM.value or NUM, _BATCH_SIZE.value))
    sample_to_files(
        _WORKDIR.value,
        _OUT.value,
        num=_NUM.value,
        batch_size=_BATCH_SIZE.value,
        seed=_SEED.value,
        strategies=[
            strategies_from(
                temperature=temperature,
                top_k=_TOP_K.value,
                top_p=_TOP_P.value,
                min_p=_MIN_P.value,
                greedy=_GREEDY.value,
            )
            for temperature in _temperatures()
        ],
        mode=_MODE.value,
        guidance=_GUIDANCE.value,
        guidance_schedule=_GUIDANCE_SCHEDULE.value,
        attributes=read_attributes(_ATTRIBUTES.value),
        data=_DATA.value,
        data_dir=_DATA_DIR.value,
        known=_KNOWN.value,
        images=_IMAGES.value,
        label=_LABEL.value,
        method=_METHOD.value,
        checkpoint=_CHECKPOINT.value,
        averaged=_AVERAGED.value,
        individual=_INDIVIDUAL.value or not _GRID.value,
        overwrite=_OVERWRITE.value,
    )


def _temperatures() -> list[float]:
    try:
        return [float(temperature) for temperature in _TEMPERATURE.value]
    except ValueError:
        raise InputError(
            f"temperature must be a number, or numbers with commas between them, "
            f"got {','.join(_TEMPERATURE.value)!r}"
        ) from None


def run() -> NoReturn:
    """Run the command line and exit the process."""
    app.run(main, FLAGS, FLAG_GROUPS)

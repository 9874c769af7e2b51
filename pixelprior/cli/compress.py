"""Compress images without loss, to about as many bits as their NLL under a run says.

pixelprior compress --workdir=runs/faces -o faces.ppz folder_of_images
pixelprior compress --workdir=runs/digits -o digits.ppz --split=test
pixelprior compress --workdir=runs/prior -o codes.ppz --codes --split=test
"""

from collections.abc import Sequence
from typing import NoReturn

from pixelprior.cli import app
from pixelprior.cli.attributes import read_attributes
from pixelprior.cli.flags import Flags
from pixelprior.cli.help import FlagGroups
from pixelprior.system.home import expand_home

FLAGS = Flags()

_WORKDIR = FLAGS.run(
    "workdir",
    "The run to compress with: a folder, an exported file or a bundled model.",
    required=True,
)
_OUT = FLAGS.path(
    "out", None, "The .ppz file to write; -o for short.", short_name="o", required=True
)
_SPLIT = FLAGS.choice(
    "split", None, ["train", "validation", "test"], "Split of the data of the run to compress."
)
_LIMIT = FLAGS.integer("limit", None, "Number of images, from the first.")
_LABEL = FLAGS.string("label", None, "Class of all images, by number or name.")
_ATTRIBUTES = FLAGS.names(
    "attributes",
    [],
    "Attributes of all images, as NAME=NUMBER with commas between them. The other attributes are "
    "those of each image.",
)
_QUANTISE = FLAGS.switch(
    "quantise", False, "Change pixels to the shades of the model first, as in training."
)
_CODES = FLAGS.switch(
    "codes", False, "Compress the codes of a prior: images come back as reconstructions."
)
_BATCH_SIZE = FLAGS.integer("batch_size", None, "Number of images coded at once; by default 64.")
_VERIFY = FLAGS.switch("verify", True, "Decompress everything again, and compare.")
_OVERWRITE = FLAGS.switch("overwrite", False, "Replace the file if it exists.")
_DATA = FLAGS.path("data", None, "Folder or .npz file of the data set, if it has moved.")
_DATA_DIR = FLAGS.path("data_dir", None, "Folder of TensorFlow Datasets, if it has moved.")

FLAG_GROUPS: FlagGroups = {
    "The run": {
        "workdir": "runs/digits",
        "codes": "",
        "data": "/data/faces",
        "data_dir": "/data/tensorflow_datasets",
    },
    "The images": {
        "split": "test",
        "limit": "1000",
        "label": "7",
        "attributes": "smiling=1,age=-0.5",
        "quantise": "",
    },
    "The file": {"out": "images.ppz", "overwrite": "", "verify": "", "batch_size": "16"},
}


def main(places: Sequence[str]) -> None:
    """Compress the images that the arguments name."""
    # Imported here, since help needs none of them.
    from pixelprior.cli.compress_images import compress_images
    from pixelprior.experiment import Place

    compress_images(
        [expand_home(place) for place in places],
        _OUT.value,
        workdir=_WORKDIR.value,
        split=_SPLIT.value,
        limit=_LIMIT.value,
        label=_LABEL.value,
        attributes=read_attributes(_ATTRIBUTES.value),
        quantise=_QUANTISE.value,
        codes=_CODES.value,
        batch_size=_BATCH_SIZE.value,
        verify=_VERIFY.value,
        overwrite=_OVERWRITE.value,
        place=Place(_DATA.value, _DATA_DIR.value),
    )


def run() -> NoReturn:
    """Run the command line and exit the process."""
    app.run(main, FLAGS, FLAG_GROUPS, takes_names=True)

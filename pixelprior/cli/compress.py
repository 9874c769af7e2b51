"""Compress images without loss, to about as many bits as their NLL under a run says.

pixelprior compress --workdir=runs/faces -o faces.ppz folder_of_images
pixelprior compress --workdir=runs/digits -o digits.ppz --split=test
pixelprior compress --workdir=runs/prior -o codes.ppz --codes --split=test
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pixelprior.cli import app
from pixelprior.cli.flags import Flags
from pixelprior.cli.help import FlagGroups
from pixelprior.coding.codec import BATCH_SIZE, Codec
from pixelprior.coding.compressed import write_images
from pixelprior.data.words import plural
from pixelprior.errors import InputError
from pixelprior.runs.compression.blocks import Blocks
from pixelprior.runs.compression.files import check_new_file, written_in_words
from pixelprior.runs.compression.sources import open_source
from pixelprior.runs.compression.tokenizer import facts_of_tokenizer
from pixelprior.runs.load import load_trained
from pixelprior.runs.samples import check_learned
from pixelprior.system.atomic import replacing
from pixelprior.system.console import Terminal, say
from pixelprior.system.home import expand_home

SUFFIX = ".ppz"

FLAGS = Flags()

_WORKDIR = FLAGS.path(
    "workdir",
    None,
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
_QUANTISE = FLAGS.switch(
    "quantise", False, "Round pixels to the shades of the model first; this loses the rest."
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
    "The images": {"split": "test", "limit": "1000", "label": "7", "quantise": ""},
    "The file": {"out": "images.ppz", "overwrite": "", "verify": "", "batch_size": "16"},
}


def main(places: Sequence[str]) -> None:
    """Compress the images that the arguments name."""
    out, report = Path(_OUT.value), Terminal()
    if out.suffix != SUFFIX:
        raise InputError(f"images are compressed to a file NAME{SUFFIX}, got {out}")
    check_new_file(out, _OVERWRITE.value)
    run = load_trained(_WORKDIR.value, data=_DATA.value, data_dir=_DATA_DIR.value, report=report)
    _check_task(run.task, _CODES.value)
    check_learned(run)
    if _LABEL.value is not None and not run.num_classes:
        raise InputError("--label was given, but this run is unconditional; leave it out")
    source = open_source(
        run,
        [expand_home(place) for place in places],
        split=_SPLIT.value,
        limit=_LIMIT.value,
        label=run.class_index(_LABEL.value),
        quantise=_QUANTISE.value,
        report=report,
    )
    batch_size = min(len(source), BATCH_SIZE) if _BATCH_SIZE.value is None else _BATCH_SIZE.value
    codec = Codec(run.model, batch_size=batch_size)
    blocks = Blocks(run, codec, source)
    about = {"workdir": run.source or _WORKDIR.value, **facts_of_tokenizer(run)}
    with written_in_words(out), replacing(out) as temporary, open(temporary, "wb") as file:
        sizes = write_images(
            file,
            codec,
            blocks,
            len(source),
            about=about,
            verify=_VERIFY.value,
            report=report,
        )
    bits = 8 * sizes.stream_bytes / (sizes.num_images * codec.num_symbols)
    unit = "bits/code" if run.task == "prior" else "bits/dim"
    say(
        f"{plural(sizes.num_images, 'image')} in {out}: {sizes.num_bytes:,} bytes; "
        f"{sizes.stream_bytes:,} of them are symbols, {bits:.4f} {unit}; the others are header, "
        "labels and names"
    )
    if blocks.mean_squared_error is not None:
        error = blocks.mean_squared_error
        psnr = math.inf if error == 0 else -10 * math.log10(error)
        say(f"the reconstructions have a mean squared error of {error:.6f}, {psnr:.2f} dB PSNR")


def _check_task(task: str, codes: bool) -> None:
    if task == "tokenizer":
        raise InputError("a tokenizer has no distribution of codes; give a prior, with --codes")
    if task == "prior" and not codes:
        raise InputError(
            "a prior compresses codes, and the images come back as reconstructions; add --codes, "
            "or give a pixel model"
        )
    if task == "pixels" and codes:
        raise InputError("--codes is for a prior, and this run is a pixel model; leave it out")


def run() -> NoReturn:
    """Run the command line and exit the process."""
    app.run(main, FLAGS, FLAG_GROUPS, takes_names=True)

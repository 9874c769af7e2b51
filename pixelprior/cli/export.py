"""Write a trained run to one file that can be sent: weights, settings and results.

python export.py --workdir=runs/digits --out=digits.safetensors
python export.py --workdir=runs/digits --out=digits.safetensors --dtype=int8 --card=digits.md
python export.py runs/digits -o digits.safetensors --card
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pixelprior.cli import app
from pixelprior.cli.flags import Flags
from pixelprior.cli.help import FlagGroups
from pixelprior.errors import InputError
from pixelprior.runs.one_file.layout import DTYPES
from pixelprior.system.home import expand_home

FLAGS = Flags()

_WORKDIR = FLAGS.run("workdir", "The run to export; it can be given without the flag.")
_OUT = FLAGS.path(
    "out", None, "The .safetensors file to write; -o for short.", short_name="o", required=True
)
_DTYPE = FLAGS.choice(
    "dtype",
    "float32",
    list(DTYPES),
    "Type of the stored kernels. bfloat16 takes half of the space, and int8 a quarter.",
)
_CARD = FLAGS.path(
    "card",
    None,
    "Markdown file for the model card; --card alone writes it beside the file.",
    may_be_empty=True,
)
_MEASURE = FLAGS.switch(
    "measure", True, "Measure the cost of the type on the test split, if its images are there."
)
_OVERWRITE = FLAGS.switch("overwrite", False, "Replace files that exist.")
_DATA = FLAGS.path("data", None, "Folder or .npz file of the data set, if it has moved.")
_DATA_DIR = FLAGS.path("data_dir", None, "Folder of TensorFlow Datasets, if it has moved.")

FLAG_GROUPS: FlagGroups = {
    "The run": {
        "workdir": "runs/digits",
        "data": "/data/faces",
        "data_dir": "/data/tensorflow_datasets",
    },
    "The file": {
        "out": "digits.safetensors",
        "dtype": "int8",
        "measure": "",
        "card": "digits.md",
        "overwrite": "",
    },
}


def main(names: Sequence[str]) -> None:
    """Export the run that the arguments name."""
    # Imported here, since help needs none of them.
    from pixelprior.runs.load import load_trained
    from pixelprior.runs.one_file.export import export_run
    from pixelprior.system.console import Terminal, say

    runs = [*map(expand_home, names), *filter(None, [_WORKDIR.value])]
    if len(runs) != 1:
        raise InputError(
            f"give one run to export, as in --workdir=runs/digits, got {' '.join(runs) or 'none'}"
        )
    out, card, report = Path(_OUT.value), _CARD.value, Terminal()
    run = load_trained(runs[0], data=_DATA.value, data_dir=_DATA_DIR.value, report=report)
    exported = export_run(
        run,
        out,
        dtype=_DTYPE.value,
        card=out.with_suffix(".md") if card == "" else card,
        measured=_MEASURE.value,
        overwrite=_OVERWRITE.value,
        report=report,
    )
    say(
        f"{exported.num_parameters:,} parameters in {out}, {exported.num_bytes:,} bytes "
        f"({run.provenance})"
    )


def run() -> NoReturn:
    """Run the command line and exit the process."""
    # Flags of absl always have a value, but --card may be given without one.
    sys.argv = ["--card=" if argument == "--card" else argument for argument in sys.argv]
    app.run(main, FLAGS, FLAG_GROUPS, takes_names=True)

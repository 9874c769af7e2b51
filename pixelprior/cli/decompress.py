"""Decompress images of `pixelprior compress`, to PNG files or to an .npz file.

pixelprior decompress faces.ppz -o faces
pixelprior decompress faces.ppz -o faces.npz --workdir=runs/faces
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pixelprior.cli import app
from pixelprior.cli.flags import Flags
from pixelprior.cli.help import FlagGroups
from pixelprior.errors import InputError
from pixelprior.system.home import expand_home

FLAGS = Flags()

_OUT = FLAGS.path(
    "out",
    None,
    "Folder for PNG files, or an .npz file; -o for short.",
    short_name="o",
    required=True,
)
_WORKDIR = FLAGS.run(
    "workdir", "The run that compressed the images; by default the one that the file names."
)
_FORCE = FLAGS.switch(
    "force", False, "Try it also with another model, version or device; checksums decide."
)
_OVERWRITE = FLAGS.switch("overwrite", False, "Replace files that exist.")

FLAG_GROUPS: FlagGroups = {
    "The run": {"workdir": "runs/digits", "force": ""},
    "The files": {"out": "images", "overwrite": ""},
}


def main(names: Sequence[str]) -> None:
    """Decompress the file that the arguments name."""
    if len(names) != 1:
        raise InputError(
            f"give one .ppz file to decompress, got {' '.join(names) or 'none'}; as in pixelprior "
            "decompress images.ppz -o images"
        )
    # Imported here, since help needs none of it.
    from pixelprior.cli.decompress_images import decompress_images

    decompress_images(
        Path(expand_home(names[0])),
        Path(_OUT.value),
        workdir=_WORKDIR.value,
        force=_FORCE.value,
        overwrite=_OVERWRITE.value,
    )


def run() -> NoReturn:
    """Run the command line and exit the process."""
    app.run(main, FLAGS, FLAG_GROUPS, takes_names=True)

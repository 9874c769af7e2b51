"""Decompress images of ``pixelprior compress``, to PNG files or to an .npz file.

pixelprior decompress faces.ppz -o faces
pixelprior decompress faces.ppz -o faces.npz --workdir=runs/faces
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pixelprior.cli import app
from pixelprior.cli.flags import Flags
from pixelprior.cli.help import FlagGroups
from pixelprior.coding.codec import Codec
from pixelprior.coding.compressed import CompressedReader
from pixelprior.data.words import plural
from pixelprior.errors import InputError
from pixelprior.runs.compression.outputs import open_output
from pixelprior.runs.compression.tokenizer import check_tokenizer
from pixelprior.runs.load import load_trained
from pixelprior.system.console import Terminal, say
from pixelprior.system.home import expand_home

FLAGS = Flags()

_OUT = FLAGS.path(
    "out",
    None,
    "Folder for PNG files, or an .npz file; -o for short.",
    short_name="o",
    required=True,
)
_WORKDIR = FLAGS.path(
    "workdir", None, "The run that compressed the images; by default the one that the file names."
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
    path, report = Path(expand_home(names[0])), Terminal()
    try:
        file = open(path, "rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give a .ppz file") from error
    with file:
        reader = CompressedReader(file, str(path))
        run = load_trained(_place(reader, path), report=report)
        if run.task == "tokenizer":
            raise InputError(
                f"{run.place} is a tokenizer, and {path} was compressed with a "
                f"{reader.header['model']}; give that run with --workdir"
            )
        codec = Codec(run.model, batch_size=reader.header["batch_size"])
        reader.check(codec, force=_FORCE.value)
        check_tokenizer(run, reader.header["about"], str(path))
        output = open_output(run, codec.batch_size, Path(_OUT.value), overwrite=_OVERWRITE.value)
        try:
            with contextlib.closing(reader.blocks(codec, report)) as blocks:
                for block in blocks:
                    output.add(block)
        except InputError as error:
            if not output.done:
                raise
            output.finish()
            raise InputError(
                f"{error}; {plural(output.done, 'image')} before it are in {_OUT.value}"
            ) from error
        output.finish()
    say(f"{plural(output.done, 'image')} in {_OUT.value}")


def _place(reader: CompressedReader, path: Path) -> str:
    """Return the place of the run: the flag, or the name in the file."""
    named = reader.header["about"].get("workdir")
    if _WORKDIR.value:
        return str(_WORKDIR.value)
    if not isinstance(named, str) or not named:
        raise InputError(f"{path} names no run; give the one that compressed it with --workdir")
    # A name in a file of somebody else must not start a download.
    if named.startswith("hf://"):
        raise InputError(f"{path} was compressed with {named}; give it with --workdir={named}")
    return named


def run() -> NoReturn:
    """Run the command line and exit the process."""
    app.run(main, FLAGS, FLAG_GROUPS, takes_names=True)

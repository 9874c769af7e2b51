"""Decompression of a file for ``pixelprior decompress``."""

import contextlib
from pathlib import Path

from pixelprior.coding.codec import Codec
from pixelprior.coding.compressed import CompressedReader
from pixelprior.data.words import plural
from pixelprior.errors import InputError
from pixelprior.runs.compression.outputs import open_output
from pixelprior.runs.compression.tokenizer import check_tokenizer
from pixelprior.runs.load import load_trained
from pixelprior.system.console import Terminal, say


def decompress_images(
    path: Path, out: Path, *, workdir: str | None, force: bool, overwrite: bool
) -> None:
    """Decompress a file to PNG files or an .npz file.

    Args:
        path: the file.
        out: the folder for PNG files, or the .npz file.
        workdir: the run that compressed the images; by default the one that the file names.
        force: try it also with another model, version or device.
        overwrite: replace files that exist.

    Raises:
        InputError: if the file or its run cannot be used, or the images cannot be written.
    """
    report = Terminal()
    try:
        file = open(path, "rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give a .ppz file") from error
    with file:
        reader = CompressedReader(file, str(path))
        run = load_trained(workdir or _named_run(reader, path), report=report)
        if run.task == "tokenizer":
            raise InputError(
                f"{run.place} is a tokenizer, and {path} was compressed with a "
                f"{reader.header['model']}; give that run with --workdir"
            )
        codec = Codec(run.model, batch_size=reader.header["batch_size"])
        reader.check(codec, force=force)
        check_tokenizer(run, reader.header["about"], str(path))
        output = open_output(run, codec.batch_size, out, overwrite=overwrite)
        try:
            with contextlib.closing(reader.blocks(codec, report)) as blocks:
                for block in blocks:
                    output.add(block)
        except InputError as error:
            if not output.done:
                raise
            output.finish()
            raise InputError(
                f"{error}; {plural(output.done, 'image')} before it are in {out}"
            ) from error
        output.finish()
    say(f"{plural(output.done, 'image')} in {out}")


def _named_run(reader: CompressedReader, path: Path) -> str:
    """Return the place of the run that a file names."""
    named = reader.header["about"].get("workdir")
    if not isinstance(named, str) or not named:
        raise InputError(f"{path} names no run; give the one that compressed it with --workdir")
    # A name in a file of somebody else must not start a download.
    if named.startswith("hf://"):
        raise InputError(f"{path} was compressed with {named}; give it with --workdir={named}")
    return named

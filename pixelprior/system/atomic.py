"""Atomic writing: a file appears complete or not at all. All files are replaced in this way."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from pixelprior.system.leftovers import SUFFIX, mark


@contextlib.contextmanager
def replacing(
    path: Path, *, temporary: Path | None = None, durable: bool = False
) -> Iterator[Path]:
    """Give a temporary path to write to, and move that file to ``path`` after the body.

    Readers get either the complete new file or the old one. An exception leaves no files behind. A
    new folder can be made in the same way, but it cannot replace another folder.

    Args:
        path: the file to replace; its folder must exist.
        temporary: the temporary path, on the same disk. By default it is in the same folder, with
            the hidden name ``.NAME.HOST-PROCESS.unfinished``.
        durable: wait until the content is on the disk, so that it survives a power failure.
    """
    if temporary is None:
        temporary = path.with_name(f".{path.name}.{mark()}{SUFFIX}")
    try:
        yield temporary
        if durable:
            sync(temporary)
        os.replace(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file completely or not at all, and wait until it is on the disk."""
    with replacing(path, durable=True) as temporary:
        temporary.write_text(text)


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an ``.npz`` file of arrays, completely or not at all."""
    # NumPy would add a suffix to a path, but not to an open file.
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def sync(path: Path) -> None:
    """Wait until a file, or the list of files in a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def probe_folder(path: Path) -> None:
    """Raise an OSError unless files can be written in a folder."""
    probe = path / f".pixelprior.{mark()}.probe"
    probe.touch()
    probe.unlink()

"""Files that appear whole or not at all: the only way in which this package replaces a file."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np


@contextlib.contextmanager
def replacing(
    path: Path, *, temporary: Path | None = None, durable: bool = False
) -> Iterator[Path]:
    """Give a path to write to, and move that file to ``path`` once the body has ended.

    Readers see the whole file, or the one from before. An exception leaves nothing behind. A new
    folder can be made in the same way, but replaces none.

    Args:
        path: the file to replace; its folder must exist.
        temporary: where to write meanwhile, on the same disk; by default beside it, by the hidden
            name ``.NAME.PROCESS.unfinished``.
        durable: wait until the content is on the disk, so that it survives a power failure.
    """
    if temporary is None:
        temporary = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
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
    """Write a text file, all of it or nothing, down to the disk."""
    with replacing(path, durable=True) as temporary:
        temporary.write_text(text)


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an ``.npz`` file of these arrays, all of it or nothing."""
    # NumPy would add a suffix to a path, so it gets a file.
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def sync(path: Path) -> None:
    """Return when a file, or the list of files of a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def probe_folder(path: Path) -> None:
    """Raise an OSError unless files can be written in a folder."""
    probe = path / f".probe.{os.getpid()}"
    probe.touch()
    probe.unlink()

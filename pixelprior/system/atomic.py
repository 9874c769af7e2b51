"""Files that appear whole or not at all."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def write_atomically(path: Path, text: str) -> None:
    """Writes a file so that whoever reads it sees all of it, or what was there before."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an ``.npz`` file of these arrays likewise: all of it, or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    os.replace(temporary, path)


def probe_folder(path: Path) -> None:
    """Raises an OSError unless files can be written in a folder."""
    probe = path / f".probe.{os.getpid()}"
    probe.touch()
    probe.unlink()

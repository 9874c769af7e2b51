"""Checksums of the files of a checkpoint, in ``checksums.json``.

Decoders may accept a damaged file, and an error message of Orbax is very long.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable
from pathlib import Path

from pixelprior.system.atomic import write_atomically

_FILE = "checksums.json"


def write_checksums(folder: Path, parts: Iterable[str]) -> None:
    """Write the checksums of all files in some parts of a folder."""
    checksums = {
        path.relative_to(folder).as_posix(): _checksum(path)
        for part in parts
        for path in sorted((folder / part).rglob("*"))
        if path.is_file()
    }
    write_atomically(folder / _FILE, json.dumps(checksums, indent=2) + "\n")


def verify_checksums(folder: Path, parts: Iterable[str]) -> None:
    """Raise a ValueError or an OSError if a file of these parts differs from the one written."""
    for name, checksum in json.loads((folder / _FILE).read_text()).items():
        if name.split("/")[0] in parts and _checksum(folder / name) != checksum:
            raise ValueError(f"its file {name} is not as it was written")


def digest_of(folder: Path) -> str:
    """Digest of the checksums of a checkpoint, which tells its weights from all others.

    It is empty if the checkpoint has none.
    """
    try:
        return hashlib.sha256((folder / _FILE).read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


def _checksum(path: Path) -> int:
    checksum = 0
    with open(path, "rb") as file:
        while chunk := file.read(2**22):
            checksum = zlib.crc32(chunk, checksum)
    return checksum

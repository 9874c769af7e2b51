"""Images as codes: what a tokenizer made of a data set, kept on disk for its prior.

Legend: b batch, h height, w width, c codebooks per position, k codes. Every level has its own.

codes.json            what this is: tokenizer, grids, splits, and how often each code occurs
train.array_record    its maps, one record for each image; so for the other splits
"""

import dataclasses
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from jaxtyping import Int, Int32, Int64

from pixelprior.data.codes.file import CodeFile
from pixelprior.data.errors import DataError
from pixelprior.grid import Grid
from pixelprior.system.atomic import write_atomically

DESCRIPTION = "codes.json"
FORMAT = 1  # of the folder; to be raised with every change that makes older ones unreadable


class CodeReader(Protocol):
    """Random access to maps and labels: a `CodeFile`, or arrays in memory."""

    def __len__(self) -> int: ...

    def read(
        self, indices: Sequence[int] | Int[np.ndarray, " b"]
    ) -> tuple[list[Int32[np.ndarray, "b h w c"]], Int32[np.ndarray, " b"]]:
        """Codes of each level, and labels, as fresh arrays."""
        ...


@dataclasses.dataclass(frozen=True)
class CodeSplit:
    """One part of a code set.

    Attributes:
        name: "train", "validation" or "test".
        file: its maps and labels, on disk or in memory.
        description: of which images they are, printed beside every result, like "train[54000:]".
    """

    name: str
    file: CodeReader
    description: str

    def __len__(self) -> int:
        return len(self.file)

    def read(
        self, indices: Sequence[int] | Int[np.ndarray, " b"]
    ) -> tuple[list[Int32[np.ndarray, "b h w c"]], Int32[np.ndarray, " b"]]:
        """Codes of each level, coarsest first, and labels, as fresh arrays.

        Args:
            indices: which maps, each in ``[0, len(self))``.

        Raises:
            DataError: if a record is damaged, or holds codes that do not fit their grids.
        """
        return self.file.read(indices)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodeFacts:
    """The facts that a code set must share with its tokenizer and its images.

    Attributes:
        fingerprint: of the tokenizer that made it.
        grids: of the levels, coarsest first: ``channels`` codebooks per position, each of
            ``levels`` codes.
        name: the name of the images' data set.
        class_names: the name of each label, in order; empty if there are no labels.
        note: a remark about the data, printed beside results; often empty.
    """

    fingerprint: str
    grids: tuple[Grid, ...]
    name: str
    class_names: tuple[str, ...] = ()
    note: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CodeSet:
    """A data set as a tokenizer's codes.

    Attributes:
        facts: of its tokenizer and its images.
        splits: "train", "validation" and "test"; none of them empty.
        counts: for each level, how often each code of each codebook occurs in the train split.
    """

    facts: CodeFacts
    splits: Mapping[str, CodeSplit]
    counts: tuple[Int64[np.ndarray, "c k"], ...]


def split_path(folder: Path, split: str) -> Path:
    """The file of a split."""
    return folder / f"{split}.array_record"


def open_codes(folder: Path, *, fingerprint: str) -> CodeSet:
    """Opens a code set that is on disk.

    Damage within a file is noticed when the record that it hit is read.

    Args:
        folder: where it is.
        fingerprint: of the tokenizer that must have made it.

    Raises:
        DataError: if there is no finished code set, it is not as it was written, or another
            tokenizer made it.
    """
    about = _read_description(folder)
    if about["fingerprint"] != fingerprint:
        raise DataError(
            f"the codes in {folder} were made by another tokenizer (fingerprint "
            f"{about['fingerprint'][:16]}, expected {fingerprint[:16]}); give the tokenizer's own, "
            "or delete the folder to have them made again"
        )
    grids = tuple(Grid(**grid) for grid in about["grids"])
    return CodeSet(
        facts=CodeFacts(
            fingerprint=fingerprint,
            grids=grids,
            name=about["name"],
            class_names=tuple(about["class_names"]),
            note=about["note"],
        ),
        splits=MappingProxyType(
            {name: _open_split(folder, name, grids, **of) for name, of in about["splits"].items()}
        ),
        counts=tuple(np.asarray(level, np.int64) for level in about["counts"]),
    )


def _open_split(
    folder: Path, name: str, grids: tuple[Grid, ...], *, description: str, count: int, bytes: int
) -> CodeSplit:
    path = split_path(folder, name)
    size = path.stat().st_size if path.is_file() else None
    if size != bytes:
        came = "none" if size is None else f"{size:,}"
        raise DataError(
            f"expected {path} to have {bytes:,} bytes, got {came}; "
            f"delete {folder} to have its codes made again"
        )
    return CodeSplit(name, CodeFile(path, grids, count), description)


def write_description(folder: Path, about: Mapping[str, Any]) -> None:
    """Writes what `open_codes` reads, but for the files of the splits."""
    about = {"format": FORMAT, **about}
    write_atomically(
        folder / DESCRIPTION, json.dumps({**about, "checksum": _checksum(about)}) + "\n"
    )


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    if not path.is_file():
        raise DataError(
            f"expected a folder of codes, but {folder} has no {DESCRIPTION}; "
            "give a folder that has one, or have the codes made"
        )
    try:
        about = json.loads(path.read_bytes())
        intact = about.pop("checksum") == _checksum(about)
    # Whatever stands there if it is not what was written, and OSErrors.
    except (OSError, ValueError, TypeError, AttributeError, LookupError):
        intact = False
    if not intact:
        raise DataError(f"{path} is damaged; delete {folder} to have its codes made again")
    if about["format"] != FORMAT:
        raise DataError(
            f"expected codes in format {FORMAT}, but those in {folder} are in format "
            f"{about['format']}, of another version; delete the folder to have them made again"
        )
    return about


def _checksum(about: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(about, sort_keys=True).encode())

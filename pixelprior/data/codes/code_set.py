"""Code sets: a data set as codes of a tokenizer, kept on disk for the prior.

Legend: b batch, c codebooks per position, v codes of a codebook. Every level has its own c and v.

The files of a folder:

codes.json            the tokenizer, the grids, the splits, and how often each code occurs
train.array_record    the maps of the split, one record for each image

The files of the other splits are named after their splits.
"""

import dataclasses
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from jaxtyping import Int, Int64

from pixelprior.data.codes.file import CodeFile
from pixelprior.data.codes.records import Coded
from pixelprior.data.errors import DataError
from pixelprior.grid import Grid
from pixelprior.system.atomic import write_atomically

DESCRIPTION = "codes.json"
FORMAT = 1  # version of the folder; increase it when older folders become unreadable


class CodeReader(Protocol):
    """Random access to coded images: a `CodeFile`, or arrays in memory."""

    def __len__(self) -> int: ...

    def read(self, indices: Sequence[int] | Int[np.ndarray, " b"]) -> Coded:
        """Codes, labels and attributes, as new arrays."""
        ...


@dataclasses.dataclass(frozen=True)
class CodeSplit:
    """One part of a code set.

    Attributes:
        name: "train", "validation" or "test".
        file: the coded images, on disk or in memory.
        description: the images of the split, like "train[54000:]"; printed with every result.
    """

    name: str
    file: CodeReader
    description: str

    def __len__(self) -> int:
        return len(self.file)

    def read(self, indices: Sequence[int] | Int[np.ndarray, " b"]) -> Coded:
        """Codes, labels and attributes, as new arrays.

        Args:
            indices: the numbers of the maps, each in ``[0, len(self))``.

        Raises:
            DataError: if a record is damaged, or holds codes that do not fit their grids.
        """
        return self.file.read(indices)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodeFacts:
    """The facts that a code set must share with its tokenizer and its images.

    Attributes:
        fingerprint: the fingerprint of the tokenizer that made the codes.
        grids: the grid of each level, coarsest first. A grid has ``channels`` codebooks per
            position, each with ``levels`` codes.
        name: the name of the data set of the images.
        class_names: the name of each label, in order; empty if there are no labels.
        note: a remark about the data, printed with results; often empty.
        attribute_names: the name of each attribute of an image; empty if the set has none.
        attribute_contents: identifies the attributes; empty without them.
    """

    fingerprint: str
    grids: tuple[Grid, ...]
    name: str
    class_names: tuple[str, ...] = ()
    note: str = ""
    attribute_names: tuple[str, ...] = ()
    attribute_contents: str = ""

    def serve(self, wanted: "CodeFacts") -> bool:
        """Return True if a code set with these facts can be used for the wanted one.

        Attributes that are not wanted do no harm.
        """
        without = dataclasses.replace(self, attribute_names=(), attribute_contents="")
        return wanted in (self, without)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CodeSet:
    """A data set as codes of a tokenizer.

    Attributes:
        facts: facts about the tokenizer and the images.
        splits: "train", "validation" and "test"; none of them empty.
        counts: for each level, how often each code of each codebook occurs in the train split.
    """

    facts: CodeFacts
    splits: Mapping[str, CodeSplit]
    counts: tuple[Int64[np.ndarray, "c v"], ...]


def split_path(folder: Path, split: str) -> Path:
    """The file of a split."""
    return folder / f"{split}.array_record"


def open_codes(folder: Path, *, fingerprint: str) -> CodeSet:
    """Open a code set on disk.

    A damaged record is found only when it is read.

    Args:
        folder: the folder of the code set.
        fingerprint: the fingerprint of the tokenizer that must have made it.

    Raises:
        DataError: if there is no finished code set, or another tokenizer made it. Also if its
            description is damaged or of another version, or if a file has the wrong size.
    """
    about = _read_description(folder)
    if about["fingerprint"] != fingerprint:
        raise DataError(
            f"the codes in {folder} were made by another tokenizer (fingerprint "
            f"{about['fingerprint'][:16]}, expected {fingerprint[:16]}); give the tokenizer's own, "
            "or delete the folder to have them made again"
        )
    grids = tuple(Grid(**grid) for grid in about["grids"])
    names = tuple(about.get("attribute_names", ()))  # older code sets have none
    return CodeSet(
        facts=CodeFacts(
            fingerprint=fingerprint,
            grids=grids,
            name=about["name"],
            class_names=tuple(about["class_names"]),
            note=about["note"],
            attribute_names=names,
            attribute_contents=about.get("attribute_contents", ""),
        ),
        splits=MappingProxyType(
            {
                split: _open_split(folder, split, grids, len(names), **of)
                for split, of in about["splits"].items()
            }
        ),
        counts=tuple(np.asarray(level, np.int64) for level in about["counts"]),
    )


def _open_split(
    folder: Path,
    name: str,
    grids: tuple[Grid, ...],
    num_attributes: int,
    *,
    description: str,
    count: int,
    bytes: int,
) -> CodeSplit:
    path = split_path(folder, name)
    size = path.stat().st_size if path.is_file() else None
    if size != bytes:
        came = "none" if size is None else f"{size:,}"
        raise DataError(
            f"expected {path} to have {bytes:,} bytes, got {came}; "
            f"delete {folder} to have its codes made again"
        )
    return CodeSplit(name, CodeFile(path, grids, count, num_attributes=num_attributes), description)


def write_description(folder: Path, about: Mapping[str, Any]) -> None:
    """Write the file that describes a code set, for `open_codes`."""
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
    # Any other content than the written one can raise one of these.
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

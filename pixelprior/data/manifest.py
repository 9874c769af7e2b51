"""Lists of the files of a data set, with hashes of their contents: a `Manifest`.

A run keeps the manifest of its data. Later commands compare it with the files that they find.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pixelprior.data.errors import DataError
from pixelprior.data.pictures.pixel_range import PixelRange
from pixelprior.data.words import listed
from pixelprior.json_forms import Flag, Integer, Items, Keys, Named, Text

FORMAT = 1
Files = Mapping[str, str]
"""Content hashes by file name. Names are paths relative to the data set, with "/" between parts."""

_FORM = Keys(
    {
        "shape": Items(Integer(1), 3),
        "values": Keys({"brightest": Integer(1, 255), "bits": Integer(0, 16), "cut": Flag()}),
        "splits": Named(Named(Text())),
        "skipped": Items(Text()),
        "resized": Flag(),
    }
)


class Changes(NamedTuple):
    """Differences between the files of a manifest and the files that are there now.

    Attributes:
        missing: names of files that are not there.
        changed: names of files with other contents.
    """

    missing: Sequence[str] = ()
    changed: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.changed)

    def words(self) -> str:
        """Describe the changes: numbers and names."""
        return " and ".join(
            f"{len(names):,} {what} ({listed(names)})"
            for what, names in (("missing", self.missing), ("changed", self.changed))
            if names
        )


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The files of a data set, and the facts that were derived from them.

    Attributes:
        splits: the files of each split.
        shape: height, width and channels of the images.
        values: the range of the stored pixels.
        skipped: names of files that could not be read. They are no part of the data.
        resized: True if some files have another size than ``shape``.
    """

    splits: Mapping[str, Files]
    shape: tuple[int, int, int]
    values: PixelRange
    skipped: Sequence[str] = ()
    resized: bool = False

    @property
    def fingerprint(self) -> str:
        """Hash of all names and contents."""
        return hash_files(
            {
                f"{split}/{name}": content
                for split in self.splits
                for name, content in self.splits[split].items()
            }
        )

    def as_json(self) -> dict[str, Any]:
        """Return the content of ``data_manifest.json``."""
        return {
            "format": FORMAT,
            "shape": list(self.shape),
            "values": self.values._asdict(),
            "splits": {name: dict(files) for name, files in self.splits.items()},
            "skipped": list(self.skipped),
            "resized": self.resized,
        }


def manifest_from_json(content: Mapping[str, Any], where: str) -> Manifest:
    """Read the content of ``data_manifest.json``.

    Raises:
        DataError: if it is damaged, or written by another version.
    """
    if not isinstance(content, Mapping):
        raise DataError(f"{where} is damaged; restore it from a copy")
    if content.get("format") != FORMAT:
        raise DataError(
            f"{where} has format {content.get('format')!r:.80}, expected {FORMAT}; use the version "
            "that trained the run"
        )
    problem = _FORM.problem(content, "")
    if problem is not None:
        raise DataError(f"{where} is damaged ({problem}); restore it from a copy")
    height, width, channels = content["shape"]
    splits = {name: dict(files) for name, files in content["splits"].items()}
    values = PixelRange(**{field: content["values"][field] for field in PixelRange._fields})
    skipped, resized = tuple(content["skipped"]), content["resized"]
    return Manifest(splits, (height, width, channels), values, skipped, resized)


def hash_files(files: Files) -> str:
    """Hash the names and the contents of files."""
    return hashlib.sha256(json.dumps(dict(files), sort_keys=True).encode()).hexdigest()[:32]


def changes(kept: Files, now: Files) -> Changes:
    """Compare the files of a manifest with those that are there now. New files do not count."""
    return Changes(
        missing=[name for name in kept if name not in now],
        changed=[name for name, content in kept.items() if now.get(name, content) != content],
    )

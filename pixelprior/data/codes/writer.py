"""Making a code set: written whole or not at all, and not twice."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from pixelprior.data.codes.code_set import (
    DESCRIPTION,
    CodeFacts,
    CodeSet,
    open_codes,
    split_path,
    write_description,
)
from pixelprior.data.codes.file import CodeBatches, write_code_file
from pixelprior.data.codes.whole_folder import publish, workplace, writing
from pixelprior.data.dataset import SPLITS
from pixelprior.data.errors import DataError
from pixelprior.system.atomic import sync

CodeSplits = Mapping[str, tuple[str, CodeBatches]]
"""For "train", "validation" and "test": the description, and the codes and labels in batches."""


def codes_of(
    root: Path, facts: CodeFacts, make_splits: Callable[[], CodeSplits]
) -> tuple[CodeSet, bool]:
    """The code set of a tokenizer: opened if it is there, else written.

    It is in a folder named by the fingerprint's first 16 characters. What is there and does not fit
    (damaged, of another tokenizer, other grids or another data set) is replaced once the new one is
    complete.

    Args:
        root: where code sets are.
        facts: of the tokenizer and the images.
        make_splits: gives what is to be written; called only if something is.

    Returns:
        The code set, and whether it was written now.

    Raises:
        DataError: as `write_codes` does.
    """
    folder = root / facts.fingerprint[:16]
    found = _open_fitting(folder, facts)
    if found is not None:
        return found, False
    return write_codes(folder, facts, make_splits()), True


def write_codes(folder: Path, facts: CodeFacts, splits: CodeSplits) -> CodeSet:
    """Writes a code set and opens it. A writer that is killed leaves no set, and no half of one.

    If another process has meanwhile written the same one there, that is used. Any other code set
    that is there is replaced in the end.

    Args:
        folder: where it is to be.
        facts: of the tokenizer that makes the codes, and of the images.
        splits: what to write. It is read once, batch by batch.

    Raises:
        DataError: if codes do not fit their grids, a split is empty, or the folder cannot be
            written or holds anything but codes.
    """
    _check_replaceable(folder)
    with workplace(folder) as work:
        new = work / "new"
        with writing(folder):
            new.mkdir()
        about_splits = {}
        for split in SPLITS:
            description, batches = splits[split]
            path = split_path(new, split)
            count, counts = write_code_file(path, facts.grids, batches)
            if not count:
                raise DataError(f"the {split} split ({description}) is empty: no codes to write")
            about_splits[split] = {
                "description": description,
                "count": count,
                "bytes": path.stat().st_size,
            }
            if split == "train":
                train_counts = [level.tolist() for level in counts]
        about = {
            **dataclasses.asdict(facts),
            "splits": about_splits,
            "counts": train_counts,
        }
        with writing(folder):
            write_description(new, about)
            sync(new)
        publish(new, folder, lambda: _open_fitting(folder, facts) is not None)
    return open_codes(folder, fingerprint=facts.fingerprint)


def _open_fitting(folder: Path, facts: CodeFacts) -> CodeSet | None:
    """The code set in a folder, if its facts are these."""
    try:
        found = open_codes(folder, fingerprint=facts.fingerprint)
    except DataError:
        return None
    return found if found.facts == facts else None


def _check_replaceable(folder: Path) -> None:
    """Raises a DataError if a folder holds anything but codes: that must never be removed."""
    ours = {DESCRIPTION, *(split_path(folder, split).name for split in SPLITS)}
    with writing(folder):
        strangers = {path.name for path in folder.iterdir()} - ours if folder.exists() else ()
    if strangers:
        raise DataError(
            f"expected {folder} to be new or a folder of codes, but it holds {min(strangers)}; "
            "choose another place for the codes"
        )

"""Writing a code set: completely or not at all, and only once."""

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
"""For "train", "validation" and "test": a description, and batches of coded images."""


def codes_of(
    root: Path, facts: CodeFacts, make_splits: Callable[[], CodeSplits]
) -> tuple[CodeSet, bool]:
    """Open the code set of a tokenizer, or write it if it is missing.

    The name of its folder is the first 16 characters of the fingerprint. An existing set is
    replaced if it is damaged or its facts differ: another tokenizer, other grids, another data set
    or other attributes. It is replaced only once the new set is complete. A set with attributes is
    kept if none are wanted.

    Args:
        root: the folder of all code sets.
        facts: facts about the tokenizer and the images.
        make_splits: returns the codes to write; called only if they are needed.

    Returns:
        The code set, and True if it was written now.

    Raises:
        DataError: as `write_codes` does.
    """
    folder = root / facts.fingerprint[:16]
    found = _open_fitting(folder, facts)
    if found is not None:
        return found, False
    return write_codes(folder, facts, make_splits()), True


def write_codes(folder: Path, facts: CodeFacts, splits: CodeSplits) -> CodeSet:
    """Write a code set and open it. A writer that is killed leaves no incomplete set.

    If another process has written the same set meanwhile, that set is used. Any other code set in
    the folder is replaced at the end.

    Args:
        folder: the folder of the new set.
        facts: facts about the tokenizer that makes the codes, and about the images.
        splits: the codes to write. They are read once, batch by batch.

    Raises:
        DataError: if codes or attributes do not fit the facts, if a split is empty, if the folder
            cannot be written, or if it holds other files than codes.
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
            count, counts = write_code_file(path, facts.grids, batches, len(facts.attribute_names))
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
    """Open the code set in a folder; None if it is missing, damaged or does not fit."""
    try:
        found = open_codes(folder, fingerprint=facts.fingerprint)
    except DataError:
        return None
    return found if found.facts.serve(facts) else None


def _check_replaceable(folder: Path) -> None:
    """Raise a DataError if a folder holds other files than codes, which must never be removed."""
    ours = {DESCRIPTION, *(split_path(folder, split).name for split in SPLITS)}
    with writing(folder):
        strangers = {path.name for path in folder.iterdir()} - ours if folder.exists() else ()
    if strangers:
        raise DataError(
            f"expected {folder} to be new or a folder of codes, but it holds {min(strangers)}; "
            "choose another place for the codes"
        )

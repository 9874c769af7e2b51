"""Making a code set: written whole or not at all, and not twice."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pixelprior.data.codes.code_set import (
    DESCRIPTION,
    CodeSet,
    open_codes,
    split_path,
    write_description,
)
from pixelprior.data.codes.file import CodeBatches, write_code_file
from pixelprior.data.codes.whole_folder import publish, workplace, writing
from pixelprior.data.dataset import SPLITS
from pixelprior.data.errors import DataError
from pixelprior.grid import Grid
from pixelprior.system.atomic import sync

CodeSplits = Mapping[str, tuple[str, CodeBatches]]
"""For "train", "validation" and "test": the description, and the codes and labels in batches."""


def codes_of(
    root: Path,
    *,
    fingerprint: str,
    grids: Sequence[Grid],
    name: str,
    note: str = "",
    class_names: Sequence[str] = (),
    make_splits: Callable[[], CodeSplits],
) -> tuple[CodeSet, bool]:
    """The code set of a tokenizer: opened if it is there, else written.

    It is in a folder named by the fingerprint's first 16 characters. What is there and does not fit
    (damaged, of another tokenizer, other grids or another data set) is replaced once the new one is
    complete.

    Args:
        root: where code sets are.
        fingerprint: of the tokenizer.
        grids: of its levels, coarsest first.
        name: the name of the images' data set.
        note: what a reader of results must know about the data.
        class_names: the name of each label, in order.
        make_splits: gives what is to be written; called only if something is.

    Returns:
        The code set, and whether it was written now.

    Raises:
        DataError: as `write_codes` does.
    """
    folder = root / fingerprint[:16]
    wanted = (fingerprint, tuple(grids), name, note, tuple(class_names))
    found = _open_fitting(folder, wanted)
    if found is not None:
        return found, False
    written = write_codes(
        folder,
        fingerprint=fingerprint,
        grids=grids,
        name=name,
        note=note,
        class_names=class_names,
        splits=make_splits(),
    )
    return written, True


def write_codes(
    folder: Path,
    *,
    fingerprint: str,
    grids: Sequence[Grid],
    name: str,
    note: str = "",
    class_names: Sequence[str] = (),
    splits: CodeSplits,
) -> CodeSet:
    """Writes a code set and opens it. A writer that is killed leaves no set, and no half of one.

    If another process has meanwhile written the same one there, that is used. Any other code set
    that is there is replaced in the end.

    Args:
        folder: where it is to be.
        fingerprint: of the tokenizer that makes the codes.
        grids: of its levels, coarsest first.
        name: the name of the images' data set.
        note: what a reader of results must know about the data.
        class_names: the name of each label, in order.
        splits: what to write. It is read once, batch by batch.

    Raises:
        DataError: if codes do not fit their grids, a split is empty, or the folder cannot be
            written or holds anything but codes.
    """
    _check_replaceable(folder)
    wanted = (fingerprint, tuple(grids), name, note, tuple(class_names))
    with workplace(folder) as work:
        new = work / "new"
        with writing(folder):
            new.mkdir()
        about_splits = {}
        for split in SPLITS:
            description, batches = splits[split]
            path = split_path(new, split)
            count, counts = write_code_file(path, grids, batches)
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
            "fingerprint": fingerprint,
            "name": name,
            "note": note,
            "class_names": list(class_names),
            "grids": [dataclasses.asdict(grid) for grid in grids],
            "splits": about_splits,
            "counts": train_counts,
        }
        with writing(folder):
            write_description(new, about)
            sync(new)
        publish(new, folder, lambda: _open_fitting(folder, wanted) is not None)
    return open_codes(folder, fingerprint=fingerprint)


def _open_fitting(folder: Path, wanted: tuple) -> CodeSet | None:
    """What is in a folder, if it has this fingerprint, grids, name, note and class names."""
    try:
        found = open_codes(folder, fingerprint=wanted[0])
    except DataError:
        return None
    theirs = (found.fingerprint, found.grids, found.name, found.note, found.class_names)
    return found if theirs == wanted else None


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

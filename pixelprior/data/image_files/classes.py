"""Classes of image files: the names of the folders that they are in."""

import collections
from collections.abc import Iterable
from pathlib import Path

from pixelprior.data.errors import DataError
from pixelprior.data.image_files.listing import Listing, counted
from pixelprior.data.words import listed, shown
from pixelprior.progress import Caution, Report

_USUAL_SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}


def class_names(names: Iterable[str], class_depth: int) -> tuple[str, ...]:
    """Names of the classes, sorted; empty if no file is in a folder, or ``class_depth`` is 0."""
    return tuple(sorted({class_name(name, class_depth) for name in names} - {""}))


def class_name(name: str, class_depth: int) -> str:
    """Names of the first ``class_depth`` folders of a file, joined by "/"; "" if it has fewer."""
    *folders, _ = name.split("/")
    return "/".join(folders[:class_depth]) if len(folders) >= class_depth else ""


def check_classes(root: Path, listing: Listing, class_depth: int, report: Report) -> None:
    """Check that every image and every folder belongs to a class.

    Nothing is checked if there are no sub-folders with images, or ``class_depth`` is 0.

    Raises:
        DataError: if some images are outside a class, or a class folder holds no image.
    """
    names = [file.name for file in listing.files]
    if not class_depth or not any("/" in name for name in names):
        return
    outside = [name for name in names if not class_name(name, class_depth)]
    if outside:
        inside = [name for name in names if class_name(name, class_depth)]
        raise DataError(
            f"with config.class_depth={class_depth}, every image in {root} must be in a class "
            f"folder, but {len(outside):,} are not ({listed(outside[:3])}) and {len(inside):,} "
            "are; move them, or set config.class_depth=0 for no classes"
        )
    classes = class_names(names, class_depth)
    for folder in listing.folders:
        if folder.count("/") == class_depth - 1 and folder not in classes:
            others = _others_below(listing, folder)
            content = f"only {counted(others)}" if others else "nothing"
            raise DataError(
                f"the folder {shown(folder)} in {root} would be a class but holds no image that "
                f"can be read, {content}; {'convert the files' if others else 'remove it'}, or set "
                "config.class_depth=0 for no classes"
            )
    splits = [name for name in classes if name.lower() in _USUAL_SPLITS]
    if len(splits) == len(classes) or len(splits) > 1:
        report(
            Caution(
                f"classes of {root} are called {listed(splits)}; if these are splits, give one of "
                "them as the data set, or set config.class_depth"
            )
        )
    elif len(classes) == 1 and any(name.count("/") > class_depth for name in names):
        report(
            Caution(
                f"all images of {root} are in the folder {shown(classes[0])}, so it is the only "
                f"class; if the classes are in it, give {root / classes[0]} as the data set"
            )
        )


def _others_below(listing: Listing, folder: str) -> collections.Counter[str]:
    """Count the files in a folder and below it that are not images, by suffix."""
    total: collections.Counter[str] = collections.Counter()
    for name, others in listing.folders.items():
        if f"{name}/".startswith(f"{folder}/"):
            total.update(others)
    return total

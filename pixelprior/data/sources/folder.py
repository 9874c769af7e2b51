"""Data sets of image files in a folder. Its sub-folders, if any, are classes."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pixelprior.data.attributes import warn_of_large
from pixelprior.data.dataset import READING, Dataset, make_splits
from pixelprior.data.errors import DataError
from pixelprior.data.image_files.attributes import FILE as ATTRIBUTES
from pixelprior.data.image_files.attributes import read_attributes
from pixelprior.data.image_files.classes import check_classes, class_name, class_names
from pixelprior.data.image_files.inspect import Facts, inspect_files
from pixelprior.data.image_files.listing import ImageFile, Listing, list_images
from pixelprior.data.image_files.remarks import (
    describe_files,
    refuse_unreadable,
    skip_unreadable,
    warn_of_copies,
    warn_of_untrained_classes,
)
from pixelprior.data.image_files.source import ImageFiles
from pixelprior.data.manifest import Changes, Manifest, changes
from pixelprior.data.pictures.pixel_range import check_bright, find_range
from pixelprior.data.resize import Resized
from pixelprior.data.splits import hashed_splits
from pixelprior.data.words import plural, shown
from pixelprior.progress import Message, Report


def open_folder(
    name: str,
    folder: str,
    image_size: tuple[int, int],
    validation_fraction: float,
    *,
    class_depth: int,
    skip: bool,
    attributes: bool,
    manifest: Manifest | None,
    report: Report,
) -> Dataset:
    """Open the image files in a folder and below it.

    A hash of its name assigns each file to a split, so other files never move it. Every file is
    decoded once before its first use. The user's cache folder keeps the result of that.

    Args:
        name: the name of the data set.
        folder: the path of the folder.
        image_size: ``(height, width)`` to scale and crop to; ``(0, 0)`` for images of one size.
        validation_fraction: the share of the files outside the test split.
        class_depth: the number of folders whose names make a class; 0 for no classes.
        skip: leave out files that cannot be read, instead of refusing the folder.
        attributes: read the attributes of the images from ``attributes.csv``, see
            `pixelprior.data.image_files.attributes`.
        manifest: the files of the run to open the data for; other files are then not used.
        report: receives the progress, and remarks about the files.

    Raises:
        DataError: if the folder is missing or holds no images, or a split is empty. Also if files
            cannot be read, if classes are unclear, or if images differ in size while
            ``image_size`` is (0, 0).
    """
    root = Path(folder).expanduser()
    if not folder or not root.is_dir():
        came = "is a file" if root.is_file() else "does not exist"
        moved = "; if the data have moved, give their new place with --data=..."
        raise DataError(
            f"expected a folder of images after 'folder:', got {folder!r}, which {came}"
            + (moved if manifest else "; give the path of a folder")
        )
    listing = list_images(root, used=ATTRIBUTES if attributes else "")
    if manifest is None:
        check_classes(root, listing, class_depth, report)
        facts = _inspect_new(root, listing, skip, report)
        classes = class_names(facts, class_depth)
        describe_files(root, facts, listing, len(classes), report)
        skipped = [file.name for file in listing.files if file.name not in facts]
        manifest = _make_manifest(root, facts, skipped, image_size, validation_fraction, report)
        warn_of_untrained_classes(manifest, class_depth, report)
        changed: Mapping[str, Changes] = {}
        others: Collection[str] | None = [file.name for file in listing.files]
    else:
        classes = class_names(
            (file for files in manifest.splits.values() for file in files), class_depth
        )
        changed = _find_changes(root, listing, manifest, report)
        others = None  # new files are no part of the run
    paths = {file.name: file.path for file in listing.files}
    height, width, channels = manifest.shape
    labels = {name: label for label, name in enumerate(classes)}
    names = [name for files in manifest.splits.values() for name in files]
    known = read_attributes(root, names, others) if attributes else None
    if known is not None:
        warn_of_large(known, report)
    places = {name: place for place, name in enumerate(names)}
    total = len(names)

    def source(split: str) -> Resized:
        lost = {*changed[split].missing, *changed[split].changed} if split in changed else set()
        here = [file for file in manifest.splits[split] if file not in lost]
        files = [
            (paths[file], labels[class_name(file, class_depth)] if labels else 0) for file in here
        ]
        of_files = known and known.values[[places[file] for file in here]]
        return Resized(ImageFiles(files, channels, manifest.values, of_files), height, width)

    notes = [manifest.values.note()]
    if manifest.resized:
        notes.insert(0, f"resized and centre-cropped to {height} x {width}")
    return Dataset(
        name=name,
        splits=make_splits(
            {
                split: (source(split), f"{len(files):,} of {total:,} files, by hashes of names")
                for split, files in manifest.splits.items()
            },
            manifest.shape,
            native_levels=256,
            num_attributes=0 if known is None else len(known.names),
            may_be_empty=bool(changed),
        ),
        class_names=classes,
        note="; ".join(filter(None, notes)),
        contents=manifest.fingerprint,
        manifest=manifest,
        changes=changed,
        reading=READING,
        attribute_names=() if known is None else known.names,
        attribute_contents="" if known is None else known.contents,
    )


def _inspect_new(root: Path, listing: Listing, skip: bool, report: Report) -> dict[str, Facts]:
    """Return the facts of all readable files of a new data set, by name."""
    listing.check_found(root)
    facts = inspect_files(root, listing.files, report)
    readable = {name: one for name, one in facts.items() if not one.problem}
    if skip and readable:
        skip_unreadable(root, facts, report)
    else:
        advice = ", or set config.skip_unreadable=True" if readable else ""
        refuse_unreadable(root, facts, f"repair or remove them{advice}")
    return readable


def _make_manifest(
    root: Path,
    facts: Mapping[str, Facts],
    skipped: Sequence[str],
    image_size: tuple[int, int],
    validation_fraction: float,
    report: Report,
) -> Manifest:
    splits = hashed_splits(list(facts), validation_fraction)
    stored = {name: one.stored for name, one in facts.items()}
    check_bright(stored, str(root), report)
    height, width = image_size if image_size != (0, 0) else _common_size(facts)
    manifest = Manifest(
        {split: {name: facts[name].content for name in names} for split, names in splits.items()},
        (height, width, max(one.channels for one in facts.values())),
        find_range(stored.values()),
        tuple(skipped),
        resized=any((one.height, one.width) != (height, width) for one in facts.values()),
    )
    warn_of_copies(manifest, report)
    return manifest


def _common_size(facts: Mapping[str, Facts]) -> tuple[int, int]:
    sizes = {name: (one.height, one.width) for name, one in facts.items()}
    first = next(iter(sizes))
    for name, size in sizes.items():
        if size != sizes[first]:
            raise DataError(
                f"the images differ in size: {shown(first)} is {_text(sizes[first])}, "
                f"{shown(name)} is {_text(size)}; set image_size to the size wanted"
            )
    return sizes[first]


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} (height x width)"


def _find_changes(
    root: Path, listing: Listing, manifest: Manifest, report: Report
) -> dict[str, Changes]:
    """Compare a folder with the manifest of a run; return the changes of each split."""
    kept = {name for files in manifest.splits.values() for name in files}
    present: list[ImageFile] = [file for file in listing.files if file.name in kept]
    now = {name: one.content for name, one in inspect_files(root, present, report).items()}
    found = {split: changes(files, now) for split, files in manifest.splits.items()}
    if sum(len(change.missing) + len(change.changed) for change in found.values()) == len(kept):
        raise DataError(
            f"{root} has none of the images of the run: {found['train'].words()} in the train "
            "split; give their place with --data=..."
        )
    new = len({file.name for file in listing.files} - kept - set(manifest.skipped))
    if new:
        report(Message(f"{root} has {plural(new, 'new file')}, which only new runs use"))
    return {split: change for split, change in found.items() if change}

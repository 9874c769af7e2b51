"""Images of the user, to complete, shade or reconstruct: one file, or all files of a folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pixelprior.data.errors import DataError
from pixelprior.data.image_files.classes import class_name
from pixelprior.data.image_files.inspect import Facts, inspect_files
from pixelprior.data.image_files.listing import ImageFile, list_images
from pixelprior.data.image_files.remarks import refuse_unreadable
from pixelprior.data.image_files.source import ImageFiles
from pixelprior.data.manifest import hash_files
from pixelprior.data.pictures.pixel_range import PixelRange, find_range
from pixelprior.data.resize import Resized
from pixelprior.data.source import Source
from pixelprior.data.words import plural
from pixelprior.progress import Message, Report


class OwnImages(NamedTuple):
    """Images of the user, in the order of their names.

    Attributes:
        names: the names of the files, relative to the folder.
        class_names: for each image, the names of its folders; "" for an image without a class.
        source: the images, in the shape of a model.
        contents: a hash of all files.
    """

    names: Sequence[str]
    class_names: Sequence[str]
    source: Source
    contents: str


def open_own_images(
    place: str,
    shape: tuple[int, int, int],
    *,
    class_depth: int,
    values: PixelRange | None,
    report: Report,
) -> OwnImages:
    """Open one image file, or all image files in a folder and below it.

    Images are scaled until they cover the shape, and cropped at the centre.

    Args:
        place: the path of a file or a folder, with or without "folder:" before it.
        shape: the target height, width and number of channels, 1 or 3.
        class_depth: the number of folders whose names make a class.
        values: the range of the stored pixels of the data set; None to find it from these images.
        report: receives the progress, and remarks about the conversion.

    Raises:
        DataError: if there are no such images, or some cannot be read.
    """
    path = Path(place.removeprefix("folder:")).expanduser()
    root, files = _find(place, path)
    facts = inspect_files(root, files, report)
    refuse_unreadable(root, facts, "repair them, or give others")
    stored = [one.stored for one in facts.values()]
    values = find_range(stored) if values is None else values.fitting(stored)
    height, width, channels = shape
    _say_converted(path, facts, channels, values.note(), report)
    return OwnImages(
        [file.name for file in files],
        [class_name(file.name, class_depth) if class_depth else "" for file in files],
        Resized(ImageFiles([(file.path, 0) for file in files], channels, values), height, width),
        hash_files({name: one.content for name, one in facts.items()}),
    )


def _find(place: str, path: Path) -> tuple[Path, Sequence[ImageFile]]:
    """Find the images: their folder, and the files in it."""
    if path.is_file():
        return path.parent, [ImageFile(path.name, str(path))]
    if not path.is_dir() or not place:
        raise DataError(
            f"--images must be an image file or folder:/path of a folder of them, got {place!r}, "
            "which does not exist"
        )
    listing = list_images(path)
    listing.check_found(path)
    return path, listing.files


def _say_converted(
    path: Path, facts: Mapping[str, Facts], channels: int, note: str, report: Report
) -> None:
    other = sum(one.channels != channels for one in facts.values())
    notes = [note] if note else []
    if other:
        kinds = ("colour to grey", "grey to colour")
        notes.append(f"{other:,} converted from {kinds[channels == 3]}, as the model takes them")
    if notes:
        report(Message(f"{path}: {plural(len(facts), 'image')}, {', '.join(notes)}"))

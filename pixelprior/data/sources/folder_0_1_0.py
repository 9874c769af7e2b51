"""Folders as version 0.1.0 read them, for the runs that it trained.

Another split or another pixel would make the results of such runs wrong. New runs use
`pixelprior.data.sources.folder`.
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pixelprior.data.dataset import Dataset, make_splits
from pixelprior.data.errors import DataError
from pixelprior.data.resize import Resized
from pixelprior.data.source import Example, Source
from pixelprior.data.splits import permuted_splits

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif")
TEST_FRACTION = 0.1
GREY_MODES = ("1", "L", "LA")  # Pillow's names: black and white, grey, grey with alpha


@dataclasses.dataclass(frozen=True)
class _File:
    path: Path
    label: int
    mode: str  # Pillow's name for the type of its pixels
    size: tuple[int, int]  # height, width


def open_folder_0_1_0(
    name: str, folder: str, image_size: tuple[int, int], validation_fraction: float
) -> Dataset:
    """Open the image files of a folder, in a fixed order, 10% of them for testing.

    Images directly in the folder have no labels. Sub-folders are classes, numbered in the order of
    their names. Links and hidden names are skipped. Transparency is dropped, animations give their
    first picture, and EXIF rotation is not applied. The header of every file is read here, so that
    broken files are found before training.

    Raises:
        DataError: if the folder is missing, holds no images, or holds both images and folders of
            images. Also if an image cannot be read, or if images differ in size while
            ``image_size`` is (0, 0).
    """
    root = Path(folder).expanduser()
    if not folder or not root.is_dir():
        raise DataError(
            f"expected a folder of images after 'folder:', got {folder!r}, which is none"
        )
    class_names, labelled = _find(root)
    files = [_inspect(path, label) for path, label in labelled]
    channels = 1 if all(file.mode in GREY_MODES for file in files) else 3
    height, width = size = image_size if image_size != (0, 0) else _common_size(files)

    def source(indices: np.ndarray) -> Source:
        return Resized(_Files([files[i] for i in indices], channels), height, width)

    chosen = permuted_splits(
        len(files), test_fraction=TEST_FRACTION, validation_fraction=validation_fraction
    )
    resized = any(file.size != size for file in files)
    return Dataset(
        name=name,
        splits=make_splits(
            {split: (source(indices), text) for split, (indices, text) in chosen.items()},
            (height, width, channels),
            native_levels=256,
        ),
        class_names=class_names,
        note=f"resized and centre-cropped to {height} x {width}" if resized else "",
    )


class _Files:
    """A source of image files. Each is decoded when it is read."""

    def __init__(self, files: Sequence[_File], channels: int):
        self._files = files
        self._channels = channels

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Example:
        file = self._files[index]
        return {"image": _decode(file.path, self._channels), "label": file.label}


def _find(root: Path) -> tuple[tuple[str, ...], list[tuple[Path, int]]]:
    """Find the class names, if there are classes, and the image files with their labels."""
    folders, files = _list(root)
    if folders and files:
        raise DataError(
            f"{root} holds both images ({files[0].name}) and sub-folders ({folders[0].name}); "
            "put every image into a sub-folder, named by its class, or none"
        )
    found = [(path, 0) for path in files]
    for label, class_folder in enumerate(folders):
        nested, files = _list(class_folder)
        if nested:
            raise DataError(f"{nested[0]} is a folder within a class; move its images one up")
        if not files:
            raise DataError(f"{class_folder} should be a class but holds no images; remove it")
        found += [(path, label) for path in files]
    if not found:
        raise DataError(
            f"{root} holds no images: expected plain files ending in {', '.join(SUFFIXES)}, "
            "or sub-folders of them, one for each class"
        )
    return tuple(folder.name for folder in folders), found


def _list(folder: Path) -> tuple[list[Path], list[Path]]:
    """List the sub-folders and the image files directly in a folder, each sorted by name."""
    with os.scandir(folder) as entries:
        # Links could point anywhere. Hidden names are thumbnails and files of other tools.
        kept = [entry for entry in entries if not (entry.is_symlink() or entry.name[0] == ".")]
    folders = [Path(entry) for entry in kept if entry.is_dir()]
    files = [Path(e) for e in kept if e.is_file() and e.name.lower().endswith(SUFFIXES)]
    return sorted(folders), sorted(files)


def _inspect(path: Path, label: int) -> _File:
    """Read the header of an image file."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            width, height = picture.size
            mode = picture.mode
    except Exception as error:  # Pillow raises many kinds of errors for broken files
        raise _broken(path, error) from error
    if mode.startswith(("I", "F")):
        # Pillow would clip these values at 255 and not scale them.
        raise DataError(f"{path} has more than 8 bits a channel (mode {mode}); convert it to 8")
    return _File(path, label, mode, (height, width))


def _common_size(files: Sequence[_File]) -> tuple[int, int]:
    first = files[0]
    for file in files:
        if file.size != first.size:
            raise DataError(
                f"the images differ in size: {first.path} is {_text(first.size)}, "
                f"{file.path} is {_text(file.size)}; set image_size to the size wanted"
            )
    return first.size


def _decode(path: Path, channels: int) -> UInt8[np.ndarray, "h w c"]:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    except Exception as error:  # Pillow raises many kinds of errors for broken files
        raise _broken(path, error) from error
    return pixels.reshape(*pixels.shape[:2], channels)


def _broken(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} cannot be read as an image ({error}); repair or remove it")


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} (height x width)"

"""Data sets in one ``.npz`` file: ``images``, and optionally ``labels`` and ``attributes``.

Legend: n images, h height, w width, c channels, k attributes.
"""

from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Int32, UInt8, UInt16

from pixelprior.data.attributes import Attributes, as_attributes, warn_of_large
from pixelprior.data.dataset import Dataset
from pixelprior.data.errors import DataError
from pixelprior.data.pictures.pixel_range import Stored, check_bright, find_range
from pixelprior.data.pictures.transparency import on_white
from pixelprior.data.resize import cover_and_crop
from pixelprior.data.sources.arrays import as_labels, hash_arrays, open_arrays
from pixelprior.progress import Report


def open_npz(
    name: str,
    file: str,
    image_size: tuple[int, int],
    validation_fraction: float,
    *,
    attributes: bool,
    report: Report,
) -> Dataset:
    """Open a file of images. A fixed permutation holds out a fifth of them for testing.

    Args:
        name: the name of the data set.
        file: the path. ``images`` are integers ``[n, h, w, c]`` or ``[n, h, w]`` with 1, 3 or 4
            channels. ``labels`` are integers ``[n]`` from 0. ``attributes`` are numbers
            ``[n, k]``, and ``attribute_names`` their names.
        image_size: ``(height, width)`` to scale and crop to; ``(0, 0)`` to change nothing.
        validation_fraction: the part of the remaining images that becomes the validation split.
        attributes: open the attributes, too.
        report: receives a caution if all images are dark, or attributes are large.

    Raises:
        DataError: if there is no such file, or its arrays are not of this form.
    """
    path = Path(file).expanduser()
    images, labels = read_npz(path)
    known = read_npz_attributes(path, len(images)) if attributes else None
    if known is not None:
        warn_of_large(known, report)
    elif attributes:
        raise DataError(
            f"{path} has no array 'attributes' [n, k]; add it, or set "
            "config.attribute_conditional=False"
        )
    bits = 8 * images.itemsize
    stored = {str(n): Stored(bits, int(image.max())) for n, image in enumerate(images)}
    check_bright(stored, str(path), report)
    values = find_range(stored.values())
    pixels = values.to_eight_bits(images)
    if pixels.shape[-1] == 4:
        pixels = on_white(pixels)
    notes = [values.note()]
    height, width = pixels.shape[1:3]
    if image_size not in ((0, 0), (height, width)):
        height, width = image_size
        pixels = np.stack([cover_and_crop(image, height, width) for image in pixels])
        notes.insert(0, f"resized and centre-cropped to {height} x {width}")
    return open_arrays(
        pixels,
        labels,
        attributes=known,
        validation_fraction=validation_fraction,
        name=name,
        note="; ".join(filter(None, notes)),
        contents=hash_arrays(images, np.zeros(0, np.int32) if labels is None else labels),
    )


def read_npz(
    path: Path,
) -> tuple[
    UInt8[np.ndarray, "n h w c"] | UInt16[np.ndarray, "n h w c"], Int32[np.ndarray, " n"] | None
]:
    """Read the images and the labels of a file; pixels of more than 8 bits become uint16.

    Raises:
        DataError: if there is no such file, or its arrays are not of the form for `open_npz`.
    """
    names, arrays = _read(path, "images", "labels")
    if "images" not in arrays:
        raise DataError(
            f"{path} must have an array 'images', and optionally 'labels', but it has "
            f"{', '.join(names) or 'none'}; write it with np.savez(file, images=images)"
        )
    pixels = _as_pixels(arrays["images"], path)
    try:
        return pixels, as_labels(arrays.get("labels"), len(pixels))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def read_npz_attributes(path: Path, count: int) -> Attributes | None:
    """Read the attributes of the images in a file; None if it has none.

    Args:
        path: the file.
        count: the number of its images.

    Raises:
        DataError: if the attributes are not of the form for `open_npz`.
    """
    _, arrays = _read(path, "attributes", "attribute_names")
    if "attributes" not in arrays:
        return None
    try:
        return as_attributes(arrays["attributes"], _as_names(arrays.get("attribute_names")), count)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _as_names(names: np.ndarray | None) -> Sequence[str] | None:
    if names is None:
        return None
    if names.ndim != 1 or names.dtype.kind != "U":
        raise DataError(
            f"attribute_names must be an array of text, like np.array(['slant', 'width']), got "
            f"{names.dtype} of shape {list(names.shape)}"
        )
    return [str(name) for name in names]


def _read(path: Path, *wanted: str) -> tuple[list[str], dict[str, np.ndarray]]:
    """Read the names of all arrays in a file, and those arrays that are wanted."""
    if not path.is_file():
        raise DataError(
            f"expected an .npz file after 'npz:', got {str(path)!r}, which is none; if the data "
            "have moved, give their new place with --data=..."
        )
    try:
        # Opened here, since NumPy does not close a file that it cannot read.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            names = list(archive.files)
            arrays = {name: archive[name] for name in wanted if name in names}
    # The file is no zip file, one array, or cut short, or its arrays hold Python objects.
    except (OSError, ValueError, EOFError, KeyError, TypeError, BadZipFile) as error:
        raise DataError(
            f"{path} cannot be read as an .npz file of numbers ({error}); write integer arrays "
            "with np.savez(file, images=images, labels=labels)"
        ) from error
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise DataError(f"{path} has files that are no arrays; write it with np.savez")
    return names, arrays


def _as_pixels(
    images: np.ndarray, path: Path
) -> UInt8[np.ndarray, "n h w c"] | UInt16[np.ndarray, "n h w c"]:
    if images.ndim == 3 and images.shape[-1] in (3, 4):
        raise DataError(
            f"images in {path} have the shape {list(images.shape)} of one colour image; store "
            "several as [n, height, width, channels]"
        )
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.shape[-1] not in (1, 3, 4) or 0 in images.shape:
        first = images.ndim == 4 and images.shape[1] in (1, 3)
        raise DataError(
            f"images in {path} must have the shape [n, height, width, channels] with 1, 3 or 4 "
            f"channels and no size 0, got {list(images.shape)}"
            + ("; images.transpose(0, 2, 3, 1) moves the channels to the end" if first else "")
        )
    if images.dtype == np.bool_:
        return images.astype(np.uint8)
    if not np.issubdtype(images.dtype, np.integer):
        raise DataError(
            f"images in {path} must be integers, got {images.dtype}; for floats in [0, 1] store "
            "(255 * images).round().astype(np.uint8), and for floats in [0, 255] "
            "images.round().astype(np.uint8)"
        )
    low, high = int(images.min()), int(images.max())
    if low < 0 or high > 65535:
        raise DataError(
            f"images in {path} must be pixels from 0 to 255 or 65,535, got {low} to {high}; scale "
            "them to 0 to 255"
        )
    return images.astype(np.uint8 if high < 256 else np.uint16)

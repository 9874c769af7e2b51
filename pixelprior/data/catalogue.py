"""Function that opens every data set: `open_dataset`."""

import os

from pixelprior.data.dataset import READING, Dataset
from pixelprior.data.errors import DataError
from pixelprior.data.manifest import Manifest
from pixelprior.data.sources.arrays import PREFIX
from pixelprior.data.sources.digits import open_digits
from pixelprior.data.sources.folder import open_folder
from pixelprior.data.sources.folder_0_1_0 import open_folder_0_1_0
from pixelprior.data.sources.npz import open_npz
from pixelprior.data.sources.tfds import open_tfds
from pixelprior.progress import Report, only_warnings


def open_dataset(
    name: str,
    *,
    image_size: tuple[int, int] = (0, 0),
    validation_fraction: float = 0.1,
    data_dir: str | os.PathLike[str] | None = None,
    class_depth: int = 1,
    skip_unreadable: bool = False,
    attributes: bool = False,
    manifest: Manifest | None = None,
    reading: int = READING,
    report: Report = only_warnings,
) -> Dataset:
    """Open a data set. Nothing is downloaded, and equal arguments give equal splits.

    Args:
        name: "digits" for the data set of scikit-learn, "folder:/path" for a folder of image
            files, or "npz:/path" for one file of arrays. Any other name, like "mnist", is a data
            set that TensorFlow Datasets has prepared.
        image_size: ``(height, width)`` in pixels. Images are scaled until they cover it, with
            their aspect ratio unchanged, and cropped at the centre. ``(0, 0)`` changes nothing.
        validation_fraction: the part of the training images that becomes the validation split,
            strictly between 0 and 1. Not used if the data has a validation split.
        data_dir: the data folder of TensorFlow Datasets; by default the environment variable
            ``TFDS_DATA_DIR``, else ``~/tensorflow_datasets``.
        class_depth: the number of sub-folders whose names make the class of an image file; 0 for
            no classes.
        skip_unreadable: leave out image files that cannot be read.
        attributes: open the attributes of the images, too: the array ``attributes`` of an ``.npz``
            file, the file ``attributes.csv`` of a folder, or the feature ``attributes`` of TFDS.
        manifest: the files of an earlier data set, to open the same one again.
        reading: the version of the rules by which files become images; see `READING`.
        report: receives the progress, and remarks about the data.

    Raises:
        DataError: if there is no such data set, or it does not fit the arguments.
    """
    height, width = image_size = (int(image_size[0]), int(image_size[1]))
    if image_size != (0, 0) and min(height, width) < 1:
        raise DataError(
            f"expected image_size (0, 0) or a positive (height, width), got {image_size}"
        )
    if not 0 < validation_fraction < 1:
        raise DataError(
            f"expected validation_fraction strictly between 0 and 1, got {validation_fraction}"
        )
    if name == "digits":
        if attributes:
            raise DataError("digits has no attributes; set config.attribute_conditional=False")
        return open_digits(image_size, validation_fraction)
    if name.startswith(PREFIX):
        raise DataError(
            "the run was trained on arrays in memory, which its folder does not keep; "
            "use the run that pp.fit returned, with pp.evaluate(run)"
        )
    if name.startswith("npz:"):
        file = name.removeprefix("npz:")
        return open_npz(
            name, file, image_size, validation_fraction, attributes=attributes, report=report
        )
    if not name.startswith("folder:"):
        return open_tfds(
            name,
            image_size,
            validation_fraction,
            data_dir,
            attributes=attributes,
            reading=reading,
            report=report,
        )
    folder = name.removeprefix("folder:")
    if reading == 1:
        return open_folder_0_1_0(name, folder, image_size, validation_fraction)
    return open_folder(
        name,
        folder,
        image_size,
        validation_fraction,
        class_depth=class_depth,
        skip=skip_unreadable,
        attributes=attributes,
        manifest=manifest,
        report=report,
    )

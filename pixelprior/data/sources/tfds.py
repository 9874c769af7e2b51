"""Data sets of TensorFlow Datasets, read without TensorFlow and never over the network."""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pixelprior.data.dataset import Dataset, make_splits
from pixelprior.data.errors import DataError
from pixelprior.data.pictures.pixel_range import PixelRange, Ranged, search_range
from pixelprior.data.pictures.transparency import on_white
from pixelprior.data.resize import Resized
from pixelprior.data.source import Example, Source
from pixelprior.data.sources.tfds_attributes import attributes_of, find_attributes
from pixelprior.data.splits import held_out
from pixelprior.progress import Report

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder

TEST_FRACTION = 0.1


def open_tfds(
    name: str,
    image_size: tuple[int, int],
    validation_fraction: float,
    data_dir: str | os.PathLike[str] | None,
    *,
    attributes: bool,
    reading: int,
    report: Report,
) -> Dataset:
    """Open a data set that TFDS has prepared as array_record files.

    If the data set has both a test and a validation split, both are used. If it has only one of
    them, that one is the test split. Missing splits are taken from the end of the train split.

    With ``attributes``, the feature of this name gives the attributes: a dictionary of numbers, as
    in CelebA, or a vector. The names of a dictionary are sorted.

    Raises:
        DataError: if the name is unknown, if the data is missing or not in array_record format, or
            if it has no 8-bit images, or no attributes. Also if image sizes differ while
            ``image_size`` is (0, 0).
    """
    builder = _find(name, data_dir)
    features = dict(builder.info.features.items())
    height, width, stored_channels = _image_shape(features, name)
    if image_size != (0, 0):
        resized = image_size != (height, width)
        height, width = image_size
    elif height is None or width is None:
        raise DataError(
            f"the images of {name} differ in size; set image_size to the (height, width) wanted"
        )
    else:
        resized = False
    channels = min(stored_channels, 3)
    # Labels without names (a number, a box) are not class indices.
    class_names = tuple(getattr(features.get("label"), "names", None) or ())

    attribute_names = find_attributes(features, name) if attributes else ()

    def decoded(split: str) -> Source:
        examples = builder.as_data_source(split=split)
        return _Decoded(
            examples,
            stored_channels,
            bool(class_names),
            attribute_names,
            composite=reading > 1,
        )

    sizes = {split: info.num_examples for split, info in builder.info.splits.items()}
    chosen = _choose_splits(name, sizes, validation_fraction)
    values = PixelRange()
    if reading > 1:
        values = search_range(decoded(chosen["train"]), name, report)
    notes = [f"resized and centre-cropped to {height} x {width}" if resized else "", values.note()]

    def source(split: str) -> Source:
        return Resized(Ranged(decoded(split), values), height, width)

    return Dataset(
        name=name,
        splits=make_splits(
            {ours: (source(theirs), theirs) for ours, theirs in chosen.items()},
            (height, width, channels),
            native_levels=256,
            num_attributes=len(attribute_names),
        ),
        class_names=class_names,
        note="; ".join(filter(None, notes)),
        contents=f"{name}:{builder.version}" if reading > 1 else "",
        reading=reading,
        attribute_names=attribute_names,
        attribute_contents=f"{name}:{builder.version}" if attributes else "",
    )


class _Decoded:
    """A source of the decoded examples of one TFDS split."""

    def __init__(
        self,
        examples: Any,
        channels: int,
        labelled: bool,
        attribute_names: Sequence[str],
        *,
        composite: bool,
    ):
        self._attribute_names = attribute_names
        self._examples = examples
        self._composite = composite and channels == 4
        self._channels = min(channels, 3)
        self._labelled = labelled

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Example:
        example = self._examples[index]
        image = np.asarray(example["image"])
        # The fourth channel is transparency.
        image = on_white(image) if self._composite else image[..., : self._channels]
        label = int(example["label"]) if self._labelled else 0
        if not self._attribute_names:
            return {"image": image, "label": label}
        attributes = attributes_of(example, self._attribute_names)
        return {"image": image, "label": label, "attributes": attributes}


def _find(name: str, data_dir: str | os.PathLike[str] | None) -> "DatasetBuilder":
    """Find the builder of a data set that is prepared on this machine."""
    import tensorflow_datasets as tfds

    # builder_from_files only reads local files. If the data is missing, tfds.builder would ask a
    # server on the internet for its description.
    from tensorflow_datasets.core.read_only_builder import builder_from_files

    folder = Path(data_dir or tfds.core.constants.get_default_data_dir()).expanduser()
    try:
        builder = builder_from_files(name, data_dir=str(folder))
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        raise _not_found(name, folder) from error
    if "array_record" not in {kind.value for kind in builder.info.available_file_formats()}:
        raise DataError(
            f"{name} in {folder} is prepared in another format than array_record; prepare it in "
            f"another folder, and give that as data_dir: {_prepare_command(name, 'NEW_FOLDER')}"
        )
    return builder


def _not_found(name: str, folder: Path) -> DataError:
    import tensorflow_datasets as tfds

    # Community data sets are left out, because listing them needs the network.
    known = tfds.list_builders(with_community_datasets=False)
    if name.split("/")[0].split(":")[0] in known:
        return DataError(
            f"the data set {name} is not in {folder}; give its folder with --data_dir or "
            "TFDS_DATA_DIR, or prepare it there once, which downloads it: "
            f"{_prepare_command(name, str(folder))}"
        )
    close = difflib.get_close_matches(name, ["digits", *known], n=3)
    if Path(name).expanduser().exists():
        close = [f"{'folder' if Path(name).expanduser().is_dir() else 'npz'}:{name}"]
    meant = f"did you mean {' or '.join(close)}? " if close else ""
    return DataError(
        f"no data set is called {name!r}: {meant}Names are digits, folder:/path/to/images, "
        f"npz:/path/to/file, and those of TensorFlow Datasets, such as mnist (looked in {folder})"
    )


def _prepare_command(name: str, folder: str) -> str:
    return (
        'python -c "import tensorflow_datasets as tfds; '
        f"tfds.builder({name!r}, data_dir={folder!r})"
        ".download_and_prepare(file_format='array_record')\""
    )


def _image_shape(features: dict[str, Any], name: str) -> tuple[int | None, int | None, int]:
    import tensorflow_datasets as tfds

    image: Any = features.get("image")
    # Sub-classes of Image hold label maps and similar data, not pictures.
    if type(image) is not tfds.features.Image:
        raise DataError(
            f"{name} has no feature 'image' that is an image, only {', '.join(sorted(features))}; "
            "choose an image data set, or export its images and open them by folder:/path"
        )
    height, width, channels = image.shape
    if image.np_dtype != np.uint8 or channels not in (1, 3, 4):
        raise DataError(
            f"expected images of 8 bits and 1, 3 or 4 channels, but those of {name} are "
            f"{np.dtype(image.np_dtype).name} with {channels or 'varying'} channels"
        )
    return height, width, channels


def _choose_splits(name: str, sizes: dict[str, int], validation_fraction: float) -> dict[str, str]:
    """Choose the TFDS name for each of our splits."""
    if "train" not in sizes:
        raise DataError(f"{name} has no train split, only {', '.join(sizes)}; choose another")
    used = sizes["train"]  # number of images left for training
    held = [split for split in ("test", "validation") if split in sizes]
    chosen: dict[str, str] = {}
    if held:
        chosen["test"] = held[0]
    else:
        used -= held_out(used, TEST_FRACTION)
        chosen["test"] = f"train[{used}:]"
    if len(held) == 2:
        return {"train": "train", "validation": "validation", **chosen}
    rest = used
    used -= held_out(used, validation_fraction)
    chosen["validation"] = f"train[{used}:{rest if rest < sizes['train'] else ''}]"
    return {"train": f"train[:{used}]", **chosen}

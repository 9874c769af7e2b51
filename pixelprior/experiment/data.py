"""Data of an experiment."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pixelprior.data import Dataset, Symbols, open_dataset
from pixelprior.data.augmentation import Augmentation
from pixelprior.data.dataset import READING
from pixelprior.data.manifest import Manifest
from pixelprior.data.place import absolute, kind_of, moved
from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.progress import Message, Report, only_warnings


def augmentation_of(config: Mapping[str, Any]) -> Augmentation:
    """Return the augmentation of the training images of an experiment.

    A prior has none, because its tokenizer encodes the images as they are.
    """
    names = [field.name for field in dataclasses.fields(Augmentation)]
    return Augmentation(**{name: config[name] for name in names if name in config})


def describe_augmentation(config: Mapping[str, Any]) -> str:
    """List the settings that change training images, like "flip, crop_padding=4"; empty for none.

    Unlike the others, ``distribution_augmentation`` is a part of the model, see `pixelprior.turns`.
    """
    turned = config.get("distribution_augmentation", 0.0)
    changes = (
        augmentation_of(config).describe(),
        f"distribution_augmentation={turned:g}" if turned else "",
    )
    return ", ".join(filter(None, changes))


def open_data(
    config: Mapping[str, Any],
    *,
    manifest: Manifest | None = None,
    reading: int = READING,
    report: Report = only_warnings,
) -> tuple[Dataset, Symbols, Grid]:
    """Open the images of an experiment; return them, their symbols and the grid of the symbols.

    Args:
        config: the config of the experiment.
        manifest: the files of a run, to open its images again.
        reading: the version of the rules by which files become images.
        report: receives the progress, and remarks about the data.

    Raises:
        InputError: if there is no such data, or it does not fit the config.
    """
    symbols = Symbols(config["levels"], config["binarisation"])
    height, width = config["image_size"]
    dataset = open_dataset(
        config["dataset"],
        image_size=(height, width),
        validation_fraction=config["validation_fraction"],
        data_dir=config["data_dir"] or None,
        class_depth=config["class_depth"],
        skip_unreadable=config["skip_unreadable"],
        # Tokenizers have no conditions, but their priors may have.
        attributes=config.get("attribute_conditional", False),
        manifest=manifest,
        reading=reading,
        report=report,
    )
    symbols.check(dataset.native_levels)
    return dataset, symbols, Grid(*dataset.shape, levels=symbols.levels)


def reopen_data(
    config: Mapping[str, Any],
    facts: Mapping[str, Any],
    manifest: Manifest | None,
    report: Report = only_warnings,
    *,
    has_manifest: bool = True,
    new_attributes: bool = False,
) -> tuple[Dataset, Symbols]:
    """Open the images of a run again, by the rules and from the files of its training.

    Files may be missing or changed: see `Dataset.check_unchanged`.

    Args:
        config: the config of the run.
        facts: the contents of its ``data.json``.
        manifest: the files of the run; None if it has none.
        report: receives the progress, and remarks about the data.
        has_manifest: True if a run on image files must have a manifest. Otherwise the hash of all
            images must be that of the run.
        new_attributes: open the attributes of the images, too, which the run was trained without.

    Raises:
        InputError: if there is no such data, or it is not the data of the run.
    """
    if facts["reading"] > 1 and config["dataset"].startswith("folder:") and manifest is None:
        if has_manifest:
            raise InputError(
                "the run folder has no data_manifest.json, the list of the images of the run; "
                "restore it from a copy"
            )
        folder = config["dataset"].removeprefix("folder:")
        if not Path(folder).is_dir():
            raise InputError(
                f"the images of the run are not in {folder}; give their folder with --data=..."
            )
    if new_attributes:
        config = {**config, "attribute_conditional": True}
    dataset, symbols, grid = open_data(
        config, manifest=manifest, reading=facts["reading"], report=report
    )
    files = manifest.splits if manifest else dataset.splits
    compared = [
        ("shape of the images", list(grid.shape), list(facts["shape"])),
        ("number of levels", grid.levels, facts["levels"]),
        ("list of classes", list(dataset.class_names), list(facts["class_names"])),
        (
            "number of images in each split",
            {split: len(files[split]) for split in dataset.splits},
            {split: about["images"] for split, about in facts["splits"].items()},
        ),
        ("content", dataset.contents, facts["contents"]),
    ]
    if not new_attributes:
        names, contents = facts["attribute_names"], facts["attribute_contents"]
        compared += [
            ("list of attributes", list(dataset.attribute_names), list(names)),
            ("content of the attributes", dataset.attribute_contents, contents),
        ]
    for what, now, then in compared:
        if now != then:
            raise InputError(
                f"{dataset.name} is not the data set of the run: the {what} was {then!r:.200}, "
                f"and is now {now!r:.200}; give the run's data with --data=... or --data_dir=..."
            )
    if dataset.reading == 1 and dataset.name.startswith("folder:"):
        report(
            Message(
                f"{dataset.name} is read by the rules of version 0.1.0, which trained this run. It "
                "kept no list of files, so their number is checked, and their contents cannot be"
            )
        )
    return dataset, symbols


class Place(NamedTuple):
    """Place of the data of a run, if they have moved since.

    Attributes:
        data: the folder or the file, for data sets that are one; None if it has not moved.
        data_dir: the data folder of TensorFlow Datasets; None if it has not moved.
    """

    data: str | Path | None = None
    data_dir: str | Path | None = None


SAME_PLACE = Place()


def at_place(config: Mapping[str, Any], place: Place = SAME_PLACE) -> dict[str, Any]:
    """Return a config with absolute paths of its data, at a new place if one is given.

    Raises:
        InputError: if the data set does not have such a place.
    """
    data, data_dir = place
    placed = dict(config)
    # `check_config` refuses a name of another type.
    if isinstance(config.get("dataset"), str):
        name = config["dataset"]
        placed["dataset"] = absolute(name) if data is None else moved(name, data)
        if data_dir is not None and (kind_of(name) or name == "digits"):
            raise InputError(
                f"--data_dir is for data sets of TensorFlow Datasets, but this one is {name!r}"
                + ("; give its new place with --data" if kind_of(name) else "")
            )
    if data_dir is not None:
        placed["data_dir"] = str(data_dir)
    if placed.get("data_dir"):
        placed["data_dir"] = str(Path(placed["data_dir"]).expanduser().absolute())
    return placed


def data_identity(facts: Mapping[str, Any]) -> str:
    """Return the part of ``data.json`` that is equal for equal images, wherever they are."""
    return (kind_of(facts["name"]) and facts.get("contents")) or facts["name"]


def count_classes(config: Mapping[str, Any], class_names: Sequence[str], dataset: str) -> int:
    """Number of classes of a conditional model; 0 if the config is unconditional.

    Raises:
        InputError: if the config is class-conditional, but the data set has no labels.
    """
    if config["class_conditional"] and not class_names:
        raise InputError(
            f"class_conditional needs labels, but the data set {dataset!r} has none; "
            "set config.class_conditional=False"
        )
    return len(class_names) if config["class_conditional"] else 0


def count_attributes(
    config: Mapping[str, Any], attribute_names: Sequence[str], dataset: str
) -> int:
    """Number of attributes that a model is conditioned on; 0 if the config has no such condition.

    Raises:
        InputError: if the config is conditioned on attributes, but the data set has none.
    """
    if config["attribute_conditional"] and not attribute_names:
        raise InputError(
            f"attribute_conditional needs attributes, but the data set {dataset!r} has none; "
            "set config.attribute_conditional=False"
        )
    return len(attribute_names) if config["attribute_conditional"] else 0

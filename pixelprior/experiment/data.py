"""The data of an experiment."""

from collections.abc import Mapping, Sequence
from typing import Any

from pixelprior.data import Dataset, Symbols, open_dataset
from pixelprior.errors import InputError
from pixelprior.grid import Grid


def open_data(config: Mapping[str, Any]) -> tuple[Dataset, Symbols, Grid]:
    """The images of an experiment, how their pixels become symbols, and the grids that gives.

    Raises:
        InputError: if there is no such data, or it does not fit what the config asks for.
    """
    symbols = Symbols(config["levels"], config["binarisation"])
    height, width = config["image_size"]
    dataset = open_dataset(
        config["dataset"],
        image_size=(height, width),
        validation_fraction=config["validation_fraction"],
        data_dir=config["data_dir"] or None,
    )
    symbols.check(dataset.native_levels)
    return dataset, symbols, Grid(*dataset.shape, levels=symbols.levels)


def count_classes(config: Mapping[str, Any], class_names: Sequence[str], dataset: str) -> int:
    """How many classes a model is conditioned on: 0 unless the config asks for them.

    Raises:
        InputError: if it does, but the data set of this name has no labels.
    """
    if config["class_conditional"] and not class_names:
        raise InputError(
            f"class_conditional needs labels, but the data set {dataset!r} has none; "
            "set config.class_conditional=False"
        )
    return len(class_names) if config["class_conditional"] else 0

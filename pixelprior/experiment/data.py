"""Data of an experiment."""

from collections.abc import Mapping, Sequence
from typing import Any

from pixelprior.data import Dataset, Symbols, open_dataset
from pixelprior.errors import InputError
from pixelprior.grid import Grid


def open_data(config: Mapping[str, Any]) -> tuple[Dataset, Symbols, Grid]:
    """Open the images of an experiment; return them, their symbols and the grid of the symbols.

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
    )
    symbols.check(dataset.native_levels)
    return dataset, symbols, Grid(*dataset.shape, levels=symbols.levels)


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

"""Checks of facts about data that come from a file: their types and sizes."""

from collections.abc import Callable, Mapping
from typing import Any

from pixelprior.errors import InputError
from pixelprior.experiment.finite import is_finite_number

LARGEST_GRID = 2**24
"""Largest number of symbols in a grid: an image of 4096 x 4096 pixels."""

MOST_LEVELS = 2**24
"""Largest number of values of a symbol."""


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _is_number_of_levels(value: Any) -> bool:
    return _is_count(value) and 2 <= value <= MOST_LEVELS


def _is_shape(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 3 or not all(map(_is_count, value)):
        return False
    height, width, channels = value
    return 1 <= height * width * channels <= LARGEST_GRID


def _is_grid(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 4
        and _is_shape(value[:3])
        and _is_number_of_levels(value[3])
    )


def _is_split(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and _is_count(value.get("images"))
        and _is_text(value.get("description"))
    )


def _all(one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Make the check of a list from the check of its items."""
    return lambda value: isinstance(value, list) and all(map(one, value))


def _of_splits(one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Make the check of a mapping with all splits from the check of its values."""
    return lambda value: (
        isinstance(value, Mapping)
        and {"train", "validation", "test"} <= set(value)
        and all(map(one, value.values()))
    )


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_is_text, "a string"),
    "shape": (_is_shape, f"[height, width, channels] of at most {LARGEST_GRID} symbols"),
    "levels": (_is_number_of_levels, "an integer of at least 2"),
    "native_levels": (_is_number_of_levels, "an integer of at least 2"),
    "symbols": (_of_splits(_is_text), "a description of each split"),
    "splits": (_of_splits(_is_split), "a description and a number of images of each split"),
    "class_names": (_all(_is_text), "a list of strings"),
    "note": (_is_text, "a string"),
    "reading": (_is_count, "an integer"),
    "contents": (_is_text, "a string"),
    "pixel_variance": (is_finite_number, "a finite number"),
    "tokenizer": (_is_text, "a string"),
    "code_grids": (_all(_is_grid), "a list of [height, width, channels, levels]"),
    "learned_levels": (_all(_is_text), "a list of strings"),
    "code_counts": (_all(_all(_all(_is_count))), "lists of counts"),
}


def check_facts(data: Mapping[str, Any], where: str) -> None:
    """Raise an InputError unless the facts about the data of a run have fitting types and sizes.

    Args:
        data: the contents of ``data.json``, with every key of the task.
        where: the file of the facts, for errors.
    """
    for key, (fits, wanted) in _CHECKS.items():
        if key in data and not fits(data[key]):
            raise InputError(
                f"{where}: {key} must be {wanted}, got {data[key]!r:.80}; restore it from a copy"
            )

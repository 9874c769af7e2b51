"""Checks of ``config.json`` and ``data.json``, which a person or another version may have changed.

All commands that read a run folder read these files through `kept_config` and `kept_facts`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixelprior.data.dataset import READING, SPLITS
from pixelprior.errors import InputError
from pixelprior.experiment.schema import DATA, TASKS, check_config, complete, complete_data
from pixelprior.json_forms import Form, Integer, Items, Keys, Number, Text

LARGEST_SIDE = 2**16
LARGEST_IMAGE = 2**26
"""Largest number of symbols of an image. JAX aborts the process for arrays that are far larger."""

_RESTORE = "restore it from a copy, or use the version that trained the run"

_SIDE = Integer(1, LARGEST_SIDE)

_FACTS: dict[str, Form] = {
    "name": Text(),
    "shape": Items(_SIDE, 3),
    "levels": Integer(2, 256),
    "native_levels": Integer(2),
    "symbols": Keys(dict.fromkeys(SPLITS, Text())),
    "splits": Keys(dict.fromkeys(SPLITS, Keys({"description": Text(), "images": Integer()}))),
    "class_names": Items(Text()),
    "note": Text(),
    "reading": Integer(1, READING),
    "contents": Text(),
    "attribute_names": Items(Text()),
    "attribute_contents": Text(),
    "pixel_variance": Number(),
    "tokenizer": Text(),
    "code_grids": Items(Items(_SIDE, 4)),
    "learned_levels": Items(Text()),
    "code_counts": Items(Items(Items(Integer()))),
}
"""Form of each key of ``data.json``."""

_NAMES = Items(Text())


def kept_config(config: Any, file: Path) -> dict[str, Any]:
    """Check the content of a ``config.json``, and complete it.

    Args:
        config: the content.
        file: the file, for errors.

    Returns:
        The config, with the neutral values of keys added since.

    Raises:
        InputError: if a key is missing or unknown, or a value does not fit.
    """
    _check_object(config, file)
    task = config.get("task")
    if not isinstance(task, str) or task not in TASKS:
        raise InputError(
            f"the run's {file} names the task {task!r:.80}, which this version does not support"
        )
    config = complete(config)
    _check_keys(config, TASKS[task], file)
    try:
        check_config(config)
    except InputError as error:
        raise InputError(f"{file} does not fit: {error}; {_RESTORE}") from error
    if "trained_levels" in config:
        problem = _NAMES.problem(list(config["trained_levels"]), "config.trained_levels")
        if problem is not None:
            raise InputError(f"{file} does not fit: {problem}; {_RESTORE}")
    return config


def kept_facts(facts: Any, file: Path) -> dict[str, Any]:
    """Check the content of a ``data.json``, and complete it.

    Args:
        facts: the content.
        file: the file, for errors.

    Returns:
        The facts, with the neutral values of keys added since.

    Raises:
        InputError: if a key of all tasks is missing, or a value does not fit.
    """
    _check_object(facts, file)
    facts = complete_data(facts)
    _check_keys(facts, DATA["pixels"], file)
    known = {key: form for key, form in _FACTS.items() if key in facts}
    problem = Keys(known).problem(facts, "")
    sizes = {"shape": facts["shape"]} if problem is None else {}
    if problem is None:
        sizes |= {
            f"code_grids[{number}]": grid[:3]
            for number, grid in enumerate(facts.get("code_grids", ()))
        }
    for name, (height, width, channels) in sizes.items():
        if height * width * channels > LARGEST_IMAGE:
            problem = (
                f"{name} must have at most {LARGEST_IMAGE:,} symbols, got {height} x {width} x "
                f"{channels}"
            )
    if problem is not None:
        raise InputError(f"{file} does not fit: {problem}; {_RESTORE}")
    return facts


def check_together(config: Mapping[str, Any], facts: Mapping[str, Any], folder: Path) -> None:
    """Raise an InputError unless the checked files of a run folder agree with each other.

    Args:
        config: the config.
        facts: the facts about the data.
        folder: the folder, for errors.
    """
    file = folder / "data.json"
    _check_keys(facts, DATA.get(config["task"], ()), file)
    what = {}
    if "levels" in config:
        what["levels"] = (facts["levels"], config["levels"])
    if all(config.get("image_size", (0, 0))):
        what["height and width"] = (facts["shape"][:2], list(config["image_size"]))
    if config["task"] == "prior":
        counts = [[len(codes) for codes in level] for level in facts["code_counts"]]
        grids = [[levels] * channels for _, _, channels, levels in facts["code_grids"]]
        what["numbers of codes"] = (counts, grids)
    for name, (there, wanted) in what.items():
        if there != wanted:
            raise InputError(
                f"{file} does not fit its run: the {name} must be {wanted}, got {there!r:.80}; "
                f"{_RESTORE}"
            )


def _check_object(content: Any, file: Path) -> None:
    if not isinstance(content, dict):
        raise InputError(f"{file} must hold an object with keys, got {content!r:.80}; {_RESTORE}")


def _check_keys(content: Mapping[str, Any], keys: Any, file: Path) -> None:
    missing = [key for key in keys if key not in content]
    if missing:
        raise InputError(
            f"{file} has no value for: {', '.join(missing)}; another version wrote it, or somebody "
            "changed it. Add the keys, or use the version that trained the run"
        )

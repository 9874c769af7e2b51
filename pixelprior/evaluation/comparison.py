"""Runs side by side: what their records say of training, and one table of all.

Everything here is a pure function of what was read and measured elsewhere.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pixelprior.errors import InputError


class Training(NamedTuple):
    """What the records of a run say of its training.

    Attributes:
        steps: how many were taken.
        minutes: spent on taking them; not on compiling, validating, saving and drawing.
        images_per_second: the median over the records.
        memory_bytes: that the compiled step needs on each device; None if it was not recorded.
        compile_seconds: that compiling it took; None if it was not recorded.
        curve: at each validation the step, the minutes until then and what was validated.
    """

    steps: int
    minutes: float
    images_per_second: float | None
    memory_bytes: int | None
    compile_seconds: float | None
    curve: Sequence[tuple[int, float, float]]


def training_of(
    records: Sequence[Mapping[str, Any]], batch_size: int, validated: str = "validation_nats"
) -> Training:
    """Reads the records of a run (``metrics.jsonl``), in their order, and one of their values.

    Each record of training says how fast the images since the one before went by, so the seconds
    spent on them follow, however often the run was interrupted.
    """
    step, seconds = 0, 0.0
    rates, curve = [], []
    described: Mapping[str, Any] = {}
    for record in records:
        if "num_parameters" in record:
            described = record
        if "images_per_second" in record:
            images = (record["step"] - step) * batch_size
            seconds += images / record["images_per_second"]
            step = record["step"]
            rates.append(record["images_per_second"])
        if validated in record:
            curve.append((record["step"], seconds / 60, record[validated]))
    return Training(
        steps=step,
        minutes=seconds / 60,
        images_per_second=statistics.median(rates) if rates else None,
        memory_bytes=described.get("step_memory_bytes"),
        compile_seconds=described.get("compile_seconds"),
        curve=curve,
    )


def recorded_test(records: Sequence[Mapping[str, Any]]) -> tuple[float, float] | None:
    """Nats and bits per dimension of the test split, if the run was complete enough to be tested.

    They are those of the averaged weights of the best checkpoint.
    """
    for record in reversed(records):
        if "test_nats" in record:
            return record["test_nats"], record["test_bits_per_dim"]
    return None


def check_comparable(runs: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]) -> None:
    """Raises an InputError unless all runs are of the same images as the same symbols.

    Args:
        runs: the config and the data of each, by name, as `RunFolder` gives them.
    """
    (first, (_, theirs)), *others = runs.items()
    for name, (config, _) in runs.items():
        if config.get("task") != "pixels":
            raise InputError(
                f"{name} is a run of the task {config.get('task')!r}; only models of pixels can be "
                "compared"
            )
    what = {
        "name": "the data set",
        "shape": "the shape of the images",
        "levels": "the levels of a symbol",
        "symbols": "how pixels become symbols",
        "splits": "the images of the splits",
    }
    for name, (_, ours) in others:
        for key, words in what.items():
            if ours.get(key) != theirs.get(key):
                here, there = _difference(ours.get(key), theirs.get(key))
                raise InputError(
                    f"{name} and {first} cannot be compared: {words} is not the same "
                    f"({here!r}, {there!r}), and nats of one thing say nothing of another"
                )


def _difference(ours: Any, theirs: Any) -> tuple[Any, Any]:
    """Of two mappings, the first values that are not the same."""
    while isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        keys = [key for key in [*ours, *theirs] if ours.get(key) != theirs.get(key)]
        ours, theirs = ours.get(keys[0]), theirs.get(keys[0])
    return ours, theirs


class Row(NamedTuple):
    """One run of a comparison.

    Attributes:
        run: its name.
        model: the name of its architecture.
        parameters: how many are trained.
        training: see `Training`.
        num_steps: how many were asked for.
        nats: mean negative log-likelihood of an image of the split.
        bits_per_dim: the same in bits per symbol.
        samples_per_second: images of the cached sampler.
    """

    run: str
    model: str
    parameters: int
    training: Training
    num_steps: int
    nats: float
    bits_per_dim: float
    samples_per_second: float


def ranked(rows: Sequence[Row]) -> list[Row]:
    """The best first; a run whose likelihood is not a number comes last."""
    return sorted(rows, key=lambda row: (math.isnan(row.bits_per_dim), row.bits_per_dim))

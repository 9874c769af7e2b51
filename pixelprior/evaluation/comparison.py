"""Compare runs: training figures from their records, and one table of all runs.

Everything here is a pure function of values that were read and measured elsewhere.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pixelprior.errors import InputError
from pixelprior.experiment import data_identity


class Training(NamedTuple):
    """Training figures of a run, from its records.

    Attributes:
        steps: number of steps taken.
        minutes: time spent on these steps, without compiling, validating, saving and drawing.
        images_per_second: median over the records.
        memory_bytes: memory of the compiled step on each device; None if it was not recorded.
        compile_seconds: time to compile it; None if it was not recorded.
        curve: at each validation the step, the minutes until then and the validated value.
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
    """Read the records of a run (``metrics.jsonl``), in their order, and one validated value.

    Each training record has the rate of the images since the record before. These rates give the
    seconds spent on images, for any number of interruptions.
    """
    step, seconds = 0, 0.0
    rates, curve = [], []
    described: Mapping[str, Any] = {}
    for record in records:
        if "num_parameters" in record:
            described = record
        # A rate of 0 is damage, since a step takes time.
        if record.get("images_per_second", 0) > 0:
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
    """Return nats and bits per dimension of the test split; None if the run was not tested.

    They belong to the averaged weights of the best checkpoint.
    """
    for record in reversed(records):
        if {"test_nats", "test_bits_per_dim"} <= record.keys():
            return record["test_nats"], record["test_bits_per_dim"]
    return None


def check_comparable(runs: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]) -> None:
    """Raise an InputError unless all runs use the same images as the same symbols.

    Args:
        runs: config and data of each run, by name, as `RunFolder` returns them.
    """
    (first, (_, theirs)), *others = runs.items()
    for name, (config, _) in runs.items():
        if config.get("task") != "pixels":
            raise InputError(
                f"{name} is a run of the task {config.get('task')!r}; only pixel models can be "
                "compared"
            )
    what = {
        "shape": "the shape of the images",
        "levels": "the levels of a symbol",
        "symbols": "how pixels become symbols",
        "splits": "the images of the splits",
    }
    for name, (_, ours) in others:
        if data_identity(ours) != data_identity(theirs):
            here, there = _data_words(ours), _data_words(theirs)
            if here == there:
                there += " of other contents"
            raise InputError(
                f"{name} and {first} cannot be compared: the data set is not the same "
                f"({here!r}, {there!r}), and nats of one thing say nothing of another"
            )
        for key, words in what.items():
            if ours.get(key) != theirs.get(key):
                here, there = _difference(ours.get(key), theirs.get(key))
                raise InputError(
                    f"{name} and {first} cannot be compared: {words} is not the same "
                    f"({here!r}, {there!r}), and nats of one thing say nothing of another"
                )


def _data_words(facts: Mapping[str, Any]) -> str:
    num = sum(split["images"] for split in facts.get("splits", {}).values())
    return f"{facts['name']}, {num:,} images"


def _difference(ours: Any, theirs: Any) -> tuple[Any, Any]:
    """Return the first values that differ between two mappings."""
    while isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        keys = [key for key in [*ours, *theirs] if ours.get(key) != theirs.get(key)]
        ours, theirs = ours.get(keys[0]), theirs.get(keys[0])
    return ours, theirs


class Row(NamedTuple):
    """One run of a comparison.

    Attributes:
        run: name of the run.
        model: name of its architecture.
        parameters: number of trainable parameters.
        training: see `Training`.
        num_steps: number of steps requested.
        nats: mean negative log-likelihood of an image of the split.
        bits_per_dim: the same in bits per symbol.
        samples_per_second: images per second of the cached sampler.
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
    """Sort rows, the best first; a run whose likelihood is not a number comes last."""
    return sorted(rows, key=lambda row: (math.isnan(row.bits_per_dim), row.bits_per_dim))

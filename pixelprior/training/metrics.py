"""Record file of a run: ``metrics.jsonl``, one JSON object per line, each with its step.

A disk that fails, or an editor, may leave lines that are no records. Readers skip such lines. A
resumed run sets them aside.
"""

import itertools
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pixelprior.json_forms import Integer, is_number
from pixelprior.progress import Caution, Report, only_warnings
from pixelprior.system.atomic import write_atomically
from pixelprior.system.json_file import read_bytes

_STEP = Integer(0)


class MetricsFile:
    """Writer that appends records, and drops those that a resumed run will write again.

    These are the records of later steps, and the test record that ends a complete run. A new run
    drops all records. Lines that are no records go to the file ``damaged_metrics.jsonl``.

    Args:
        path: the file.
        resume_step: the step after which the run resumes; 0 for a new run.
        report: receives a caution if there are lines that are no records.

    Raises:
        InputError: if the file cannot be read.
    """

    def __init__(self, path: Path, *, resume_step: int, report: Report = only_warnings):
        self._path = path
        _set_folder_aside(path, report)
        records, damaged = _read(path)
        if damaged:
            aside = path.with_name("damaged_metrics.jsonl")
            # Before the file is replaced, so that a process that is killed here loses no line.
            with open(aside, "ab") as file:
                file.write(b"".join(line + b"\n" for line in damaged))
            report(
                Caution(
                    f"{len(damaged)} damaged line(s) of {path} are set aside in {aside.name}; "
                    "all other records are kept"
                )
            )
        kept = [
            record
            for record in records
            if resume_step and record["step"] <= resume_step and "best_step" not in record
        ]
        write_atomically(path, "".join(json.dumps(record) + "\n" for record in kept))

    def write(self, step: int, **values: Any) -> None:
        """Append one record."""
        with open(self._path, "a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read all records of a file; return an empty list if the file is missing, or a folder.

    Lines that are no records are skipped. A killed run may leave an incomplete last line.

    Raises:
        InputError: if the file cannot be read.
    """
    return [] if path.is_dir() else _read(path)[0]


def losses_until(records: Iterable[Mapping[str, Any]], until: int) -> dict[int, float]:
    """Return the validation losses of the records up to a step, in order, by step."""
    return {
        record["step"]: record["validation_loss"]
        for record in records
        if "validation_loss" in record and record["step"] <= until
    }


def _read(path: Path) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Read the records of a file, and the lines that are no records."""
    try:
        *lines, last = read_bytes(path).split(b"\n")
    except FileNotFoundError:
        return [], []
    records, damaged = [], []
    for line in lines:
        record = _record(line)
        if record is not None:
            records.append(record)
        elif line.strip():
            damaged.append(line)
    # A line without an end was cut off when its run was killed, so it is not damage.
    record = _record(last)
    return records + ([] if record is None else [record]), damaged


def _record(line: bytes) -> dict[str, Any] | None:
    """Read a line; return None if it is no object of numbers with a step."""
    try:
        record = json.loads(line)
    # ValueError: no UTF-8, no JSON, or an integer of thousands of digits.
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not _STEP.fits(record.get("step")):
        return None
    return record if all(map(is_number, record.values())) else None


def _set_folder_aside(path: Path, report: Report) -> None:
    """Move a folder away that is in the place of the file."""
    if not path.is_dir():
        return
    aside = next(
        aside
        for number in itertools.count(1)
        if not os.path.lexists(aside := path.with_name(f"damaged_metrics_{number}"))
    )
    os.replace(path, aside)
    report(Caution(f"{path} was a folder instead of a file; it is set aside as {aside.name}"))

"""The record of a run: ``metrics.jsonl``, one JSON object a line, each with its step."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pixelprior.system.atomic import write_atomically


class MetricsFile:
    """Appends records, and forgets those that a resumed run is about to make again.

    Those are the records of later steps, and the one of the test split that ends a complete run;
    for a run that begins anew, all of them.
    """

    def __init__(self, path: Path, *, resume_step: int):
        self._path = path
        kept = [
            record
            for record in read_metrics(path)
            if resume_step and record["step"] <= resume_step and "best_step" not in record
        ]
        write_atomically(path, "".join(json.dumps(record) + "\n" for record in kept))

    def write(self, step: int, **values: Any) -> None:
        """Appends one record."""
        with open(self._path, "a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All records of a file; none if it is not there.

    A last line that was cut off, as a killed run may leave it, is left out.
    """
    if not path.exists():
        return []
    records = []
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            if number < len(lines):
                raise
    return records


def losses_until(records: Iterable[Mapping[str, Any]], until: int) -> list[float]:
    """Validation losses of the records up to a step, in order."""
    return [
        record["validation_loss"]
        for record in records
        if "validation_loss" in record and record["step"] <= until
    ]

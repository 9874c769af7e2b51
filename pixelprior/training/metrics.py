"""Record file of a run: ``metrics.jsonl``, one JSON object per line, each with its step."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pixelprior.system.atomic import write_atomically


class MetricsFile:
    """Writer that appends records, and drops those that a resumed run will write again.

    These are the records of later steps, and the test record that ends a complete run. A new run
    drops all records.
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
        """Append one record."""
        with open(self._path, "a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read all records of a file; return an empty list if the file is missing.

    A killed run may leave an incomplete last line, which is skipped.
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


def losses_until(records: Iterable[Mapping[str, Any]], until: int) -> dict[int, float]:
    """Return the validation losses of the records up to a step, in order, by step."""
    return {
        record["step"]: record["validation_loss"]
        for record in records
        if "validation_loss" in record and record["step"] <= until
    }

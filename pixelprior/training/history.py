"""History of a run: each start that changed its config, its versions or its devices.

The file ``config_history.json`` is a list of entries, in order. An entry applies to the steps after
its ``step``. It has the versions and the devices of that start, and the changed keys of the config,
each with its value before and after. It also has the date, the command and the machine of the
start. These change with every start, so they alone make no entry.
"""

import datetime
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pixelprior.data import Position
from pixelprior.errors import InputError
from pixelprior.experiment.differences import ChangedKeys
from pixelprior.json_forms import Keys, Text
from pixelprior.system.atomic import write_atomically
from pixelprior.system.command import command
from pixelprior.system.cpu import cpu_name
from pixelprior.system.devices import num_cores
from pixelprior.system.versions import devices, versions

_STARTED = Keys(dict.fromkeys(("date", "command", "python", "machine"), Text()))


class History:
    """History of a run. It never changes; `resumed` returns a longer one.

    Args:
        entries: the contents of the file.
    """

    def __init__(self, entries: Sequence[Mapping[str, Any]] = ()):
        self.entries = tuple(entries)

    @property
    def surroundings(self) -> dict[str, Any]:
        """Versions and devices of the last entry; empty if there is none."""
        return dict(self.entries[-1]["surroundings"]) if self.entries else {}

    @property
    def started(self) -> dict[str, str]:
        """Date, command, version of Python and machine of the last entry; empty if not recorded."""
        return dict(self.entries[-1].get("started", {})) if self.entries else {}

    def resumed(self, step: int, changes: ChangedKeys, origin: Any = None) -> "History":
        """Return the history after a start at a step.

        Steps after ``step`` are taken again, so earlier changes to them apply from here on.

        Args:
            step: number of steps taken.
            changes: changes to the config since the last start.
            origin: description of the initial weights of a new run, if they were not random.
        """
        entries = [{**entry, "step": min(entry["step"], step)} for entry in self.entries]
        now = surroundings()
        if changes or now != self.surroundings:
            entries.append(
                {
                    "step": step,
                    "surroundings": now,
                    "started": _start(),
                    "changes": {key: list(change) for key, change in changes.items()},
                    **({} if origin is None else {"origin": origin}),
                }
            )
        return History(entries)

    def value_at(self, key: str, step: int, now: Any) -> Any:
        """Return the value that a key had when a step was taken.

        Args:
            key: the key; nested keys are joined by dots.
            step: number of the step, from 1.
            now: the value after the last entry.
        """
        for entry in self.entries:
            if entry["step"] >= step and key in entry["changes"]:
                return entry["changes"][key][0]
        return now

    def position(self, step: int, batch_size: int) -> Position:
        """Return the position in the training data after a number of steps.

        Args:
            step: number of steps taken.
            batch_size: batch size after the last entry.
        """
        examples, begin = 0, 0
        for end in [*self._changes_of("batch_size", step), step]:
            examples += (end - begin) * self.value_at("batch_size", end, batch_size)
            begin = end
        return Position(step, examples)

    def _changes_of(self, key: str, until: int) -> Iterator[int]:
        for entry in self.entries:
            if key in entry["changes"] and entry["step"] < until:
                yield entry["step"]


def surroundings() -> dict[str, Any]:
    """Return the versions of the packages, and the devices, in types that JSON supports."""
    return {"versions": versions(), "devices": devices()}


def _start() -> dict[str, str]:
    """Return the circumstances of this start; the command is empty if Python code trains."""
    cores = num_cores()
    return {
        "date": datetime.date.today().isoformat(),
        "command": command(),
        "python": platform.python_version(),
        "machine": f"{cpu_name()}, {cores} core{'s' * (cores > 1)}",
    }


def as_words(found: Mapping[str, Any]) -> str:
    """Describe versions and devices for people."""
    packages = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return f"{packages} on {found['devices']}"


def read_history(path: Path) -> History:
    """Read a history; it is empty if there is no file.

    Raises:
        InputError: if the file is not a history.
    """
    if not path.exists():
        return History()
    try:
        entries = json.loads(path.read_text())
        for entry in entries:
            _check(entry)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path} cannot be read, and it tells which images the run has seen; restore it from "
            "a copy, or remove it if the batch size has never changed"
        ) from error
    return History(entries)


def write_history(path: Path, history: History) -> None:
    """Write a history, completely or not at all."""
    write_atomically(path, json.dumps(history.entries, indent=1) + "\n")


def _check(entry: Mapping[str, Any]) -> None:
    step, sizes = entry["step"], dict(entry["changes"]).get("batch_size", [1, 1])
    as_words(entry["surroundings"])
    # Version 0.1.0 did not record the start.
    if "started" in entry and not _STARTED.fits(entry["started"]):
        raise ValueError("wrong start")
    if type(step) is not int or step < 0 or any(type(size) is not int for size in sizes):
        raise ValueError("wrong numbers")

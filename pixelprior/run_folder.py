"""A run folder: everything about one training run, in one place that can be moved or sent.

config.json      the experiment, as it was resolved
data.json        what the model must know of its data: grid, classes, names of splits
checkpoints/     weights, averaged weights and optimizer
metrics.jsonl    one record a line
samples/         pictures made while training
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixelprior.errors import InputError


def write_atomically(path: Path, text: str) -> None:
    """Writes a file so that whoever reads it sees all of it, or what was there before."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


class RunFolder:
    """The paths of a run folder, and its small files."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.samples = self.path / "samples"

    def claim(self, config: Mapping[str, Any]) -> None:
        """Makes this the folder of a run with this config, new or to be resumed.

        Raises:
            InputError: if the folder cannot be written, holds a run with another config, or holds
                files that are no run's.
        """
        try:
            self.samples.mkdir(parents=True, exist_ok=True)
            probe = self.path / f".probe.{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise InputError(
                f"the work folder {self.path} cannot be written ({error.strerror}); "
                "give another with --workdir"
            ) from error
        # Through JSON and back, since that is what a later run is compared with.
        ours = json.loads(json.dumps(config))
        if (self.path / "config.json").exists():
            theirs = self.config()
            changed = [
                f"{key}: {theirs.get(key)!r} there, {ours.get(key)!r} now"
                for key in sorted(theirs.keys() | ours.keys())
                if theirs.get(key) != ours.get(key)
            ]
            if changed:
                raise InputError(
                    f"{self.path} holds a run with another config ({'; '.join(changed)}); "
                    "use another --workdir, or the same config to resume"
                )
            return
        if self.checkpoints.exists() and any(self.checkpoints.iterdir()):
            raise InputError(
                f"{self.path} holds checkpoints but no config.json; use another --workdir"
            )
        write_atomically(self.path / "config.json", json.dumps(config, indent=2) + "\n")

    def config(self) -> dict[str, Any]:
        """The run's config.

        Raises:
            InputError: if there is no run here, or its config cannot be read.
        """
        return self._read("config.json")

    def data(self) -> dict[str, Any]:
        """What the run's model knows of its data. Raises as `config` does."""
        return self._read("data.json")

    def write_data(self, data: Mapping[str, Any]) -> None:
        """Saves what the run's model must know of its data."""
        write_atomically(self.path / "data.json", json.dumps(data, indent=2) + "\n")

    def _read(self, name: str) -> dict[str, Any]:
        path = self.path / name
        if not path.is_file():
            raise InputError(
                f"{self.path} is not a run folder: it has no {name}; "
                "train one with train.py --config=... --workdir=..."
            )
        try:
            return json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise InputError(f"{path} cannot be read as JSON: {error}") from error

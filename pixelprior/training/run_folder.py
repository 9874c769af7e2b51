"""A run folder: everything about one training run, in one place that can be moved or sent.

config.json      resolved config of the experiment
config_history.json  changes to the config, and the start of each: versions, devices, command
data.json        facts about the data that the model needs: grid, classes, names of splits
data_manifest.json  the files of the data set and hashes of their contents, for image files
checkpoints/     weights, averaged weights and optimizer
damaged_checkpoints/  checkpoints that could not be read
metrics.jsonl    one record per line
damaged_metrics.jsonl  lines of it that were no records
events/          the same records, and the pictures, for TensorBoard
samples/         pictures made during training
profile/         traces of steps, if requested
set_aside/       files of starts with other settings that reached no checkpoint
wandb/           files of Weights & Biases, if requested, and the name of the run there, run_id
evaluation/      results of evaluate.py, and the samples that it judged
tokenizer/       for a prior: the run of the tokenizer whose codes it models
codes/           for a tokenizer: the codes of its images, once a prior has requested them
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pixelprior.data.manifest import Manifest, manifest_from_json
from pixelprior.errors import InputError
from pixelprior.experiment.differences import ChangedKeys, differences, in_words
from pixelprior.experiment.kept import kept_config, kept_facts
from pixelprior.experiment.kinds import Kind, changes_of_kind
from pixelprior.experiment.schema import DATA_NEUTRAL, NEUTRAL, without_place
from pixelprior.json_forms import ANY, Form, Integer, Keys
from pixelprior.progress import Caution, Message, Report, only_warnings
from pixelprior.system.atomic import probe_folder, write_atomically
from pixelprior.system.home import expand_home
from pixelprior.system.json_file import read_json
from pixelprior.system.leftovers import remove_leftovers, remove_unfinished_checkpoints
from pixelprior.system.lock import locked
from pixelprior.system.own_file import is_own_file
from pixelprior.system.paths import checked_path
from pixelprior.system.processes import is_first
from pixelprior.training.history import History, read_history, write_history
from pixelprior.training.readable import check_readable

_OF_A_START = (
    "config.json",
    "config_history.json",
    "data.json",
    "data_manifest.json",
    "metrics.jsonl",
    "events",
    "samples",
    "profile",
    "wandb",
)
"""Files of a start without a checkpoint."""

EVALUATION_FORMAT = 1
"""Format of kept results. Raise it with every change after which reports cannot read older ones."""

_WITH_FORMAT = Keys({"format": Integer()})


class RunFolder:
    """Paths of a run folder, and its small files.

    Raises:
        InputError: if ``path`` is not a path, or empty.
    """

    def __init__(self, path: str | Path):
        path = checked_path(path, "a run folder")
        self.path = checked_path(expand_home(str(path)), "a run folder")
        self.checkpoints = self.path / "checkpoints"
        self.samples = self.path / "samples"
        self.metrics = self.path / "metrics.jsonl"
        self.events = self.path / "events"
        self.tokenizer = self.path / "tokenizer"
        self.evaluation = self.path / "evaluation"
        self._config = self.path / "config.json"
        self._data = self.path / "data.json"
        self._manifest = self.path / "data_manifest.json"
        self._history = self.path / "config_history.json"

    def keep_evaluation(
        self, name: str, result: Mapping[str, Any], report: Report = only_warnings
    ) -> None:
        """Keep a result in ``evaluation/NAME.json``; report a caution if this is not possible."""
        try:
            self.evaluation.mkdir(exist_ok=True)
            remove_leftovers(self.evaluation)
            kept = {"format": EVALUATION_FORMAT, **result}
            write_atomically(self.evaluation / f"{name}.json", json.dumps(kept, indent=2) + "\n")
        except OSError as error:
            report(
                Caution(
                    f"{self.evaluation} cannot be written ({error.strerror}); nothing is kept there"
                )
            )

    def kept_evaluation(
        self, name: str, form: Form = ANY, report: Report = only_warnings
    ) -> dict[str, Any] | None:
        """Return the result kept under a name.

        Args:
            name: the name.
            form: the form of the result.
            report: receives a caution if the result is there and damaged.

        Returns:
            The result. It is None if it is missing, damaged, of another format or behind a link.
        """
        path = self.evaluation / f"{name}.json"
        if not is_own_file(self.path, path):
            return None
        try:
            kept = json.loads(path.read_bytes())
            problem = _WITH_FORMAT.problem(kept, "") or form.problem(kept, "")
            if problem is None and kept.pop("format") != EVALUATION_FORMAT:
                return None
        # The file cannot be read, or is not JSON.
        except (OSError, ValueError, RecursionError) as error:
            problem = str(error)
        if problem is None:
            return kept
        report(Caution(f"{path} is damaged and not used ({problem.strip()})"))
        return None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from training here for the duration of the body.

        Raises:
            InputError: if another process trains here, or the folder cannot be written.
        """
        with contextlib.ExitStack() as stack:
            with self.writable():
                stack.enter_context(locked(self.path))
            # Only the one writer may remove these.
            remove_leftovers(self.path)
            remove_unfinished_checkpoints(self.checkpoints)
            yield

    def claim(
        self,
        config: Mapping[str, Any],
        data: Mapping[str, Any],
        manifest: Manifest | None = None,
        report: Report = only_warnings,
    ) -> None:
        """Make this the folder of a run with this config on this data, new or resumed.

        A resumed run may change some keys of its config, see `pixelprior.experiment.kinds`. They
        are recorded by `resume`. A run without a checkpoint may change all keys; its records are
        set aside. With several processes, the first one writes the files. The others check that
        they exist.

        Args:
            config: config of the experiment.
            data: facts about the data that the run's model needs.
            manifest: the files of the data set; None if it does not consist of image files.
            report: receives a message if records are set aside.

        Raises:
            InputError: if the folder cannot be written, holds a run with another config or on other
                data, or holds checkpoints without a config. Its contents are then unchanged.
        """
        with self.writable():
            check_readable(self.checkpoints)
            if self.has_checkpoint:
                self._check_resumable(config, data)
            elif not is_first() and not self.has_data:
                raise InputError(
                    f"the first process has made the run folder {self.path}, but this one does "
                    "not find it; give a --workdir on a file system that all processes share"
                )
            self.samples.mkdir(parents=True, exist_ok=True)
            probe_folder(self.path)
            if not is_first() or self.has_checkpoint:
                return
            if self._is_of_other(config, data):
                # A prior that is started again without --tokenizer uses the tokenizer in here.
                self._set_aside(report, with_tokenizer=not self._has_tokenizer(data))
            write_atomically(self._config, json.dumps(config, indent=2) + "\n")
            if self.has_data:
                return
            if manifest is not None:
                write_atomically(self._manifest, json.dumps(manifest.as_json(), indent=1) + "\n")
            write_atomically(self._data, json.dumps(data, indent=2) + "\n")

    def resume(
        self, config: Mapping[str, Any], step: int, origin: Any = None
    ) -> tuple[History, ChangedKeys]:
        """Record the changes to the config of this claimed folder, which apply after a step.

        Args:
            config: config of the experiment.
            step: number of steps taken.
            origin: description of the initial weights of a new run, if they were not random.

        Returns:
            The history of the run until now, and the changes that affect the training.
        """
        changes = self.changes(config)
        # A start that reached no checkpoint is no part of the history.
        history = (self.history() if step else History()).resumed(step, changes, origin)
        if is_first():
            with self.writable():
                # In this order: without its history, a changed config would be misleading.
                write_history(self._history, history)
                write_atomically(self._config, json.dumps(config, indent=2) + "\n")
        return history, changes

    def changes(self, config: Mapping[str, Any]) -> ChangedKeys:
        """Return the changes to the config of the run here that affect the training."""
        return changes_of_kind(self._differences(config), Kind.SCHEDULE)

    def history(self) -> History:
        """Read the history of the run. Raises as `read_history` does."""
        return read_history(self._history)

    def _differences(self, config: Mapping[str, Any]) -> ChangedKeys:
        return differences(without_place(self.config()), without_place(config), NEUTRAL)

    @contextlib.contextmanager
    def writable(self) -> Iterator[None]:
        """Turn an OSError in the body, which writes files of the run, into an InputError."""
        try:
            yield
        except OSError as error:
            raise InputError(
                f"the run folder {self.path} cannot be written ({error.strerror}); mend this "
                "and run the same command again, or give another with --workdir"
            ) from error

    def check_identity(self, config: Mapping[str, Any]) -> None:
        """Raise an InputError unless a run with a checkpoint can go on with a config."""
        for path in (self._config, self._data):
            if not path.exists():
                raise InputError(
                    f"{self.path} holds checkpoints but no {path.name}; restore it from a copy, or "
                    "use another --workdir"
                )
        fixed = changes_of_kind(self._differences(config), Kind.IDENTITY)
        if fixed:
            raise InputError(
                f"{self.path} holds another run ({in_words(fixed)}), and these keys never change; "
                "use another --workdir, or the values of the run to resume"
            )

    def _check_resumable(self, config: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.check_identity(config)
        changed = _data_differences(self.data(), data)
        if changed:
            raise InputError(
                f"the data set of the run in {self.path} has changed ({in_words(changed)}); "
                "use another --workdir, or the same data to resume"
            )

    def _is_of_other(self, config: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
        """Return True if an earlier start here had another config or other data."""
        try:
            return bool(
                (self._config.exists() and self._differences(config))
                or (self.has_data and _data_differences(self.data(), data))
            )
        # Its files cannot be read. Without a checkpoint, nothing depends on them.
        except InputError:
            return True

    def _has_tokenizer(self, data: Mapping[str, Any]) -> bool:
        """Return True if the tokenizer in this folder is that of these facts."""
        # Facts that cannot be read say nothing about the tokenizer.
        with contextlib.suppress(InputError):
            return self.has_data and self.data().get("tokenizer") == data.get("tokenizer")
        return True

    def _set_aside(self, report: Report, *, with_tokenizer: bool) -> None:
        """Move the files of an earlier start, which reached no checkpoint, out of the way."""
        kept = self.path / "set_aside"
        kept.mkdir(exist_ok=True)
        into = kept / str(len(list(kept.iterdir())))
        into.mkdir()
        for name in (*_OF_A_START, *["tokenizer"] * with_tokenizer):
            if os.path.lexists(self.path / name):
                os.replace(self.path / name, into / name)
        self.samples.mkdir()
        report(
            Message(
                f"an earlier start in {self.path} had other settings and reached no checkpoint; "
                f"its files are now in {into}"
            )
        )

    @property
    def has_checkpoint(self) -> bool:
        """True if a run in this folder has saved a state."""
        return self.checkpoints.is_dir() and any(
            path.name.isdigit() for path in self.checkpoints.iterdir()
        )

    @property
    def has_data(self) -> bool:
        """True if a run was begun here and its data are known."""
        return self._data.exists()

    def config(self) -> dict[str, Any]:
        """Read the run's config, with the neutral values of keys added since.

        Raises:
            InputError: if there is no run here, or its config cannot be read.
        """
        return kept_config(self._read("config.json"), self.path / "config.json")

    def data(self) -> dict[str, Any]:
        """Read the facts about the data that the run's model needs. Raises as `config` does."""
        return kept_facts(self._read("data.json"), self.path / "data.json")

    def manifest(self) -> Manifest | None:
        """Read the list of the files that the run was trained on; None if there is none.

        Raises:
            InputError: if it cannot be read.
        """
        if not self._manifest.exists():
            return None
        return manifest_from_json(self._read(self._manifest.name), str(self._manifest))

    def _read(self, name: str) -> Any:
        try:
            return read_json(self.path / name)
        except FileNotFoundError:
            raise InputError(
                f"{self.path} is not a run folder: it has no {name}; "
                "train one with train.py --config=... --workdir=..."
            ) from None


def _data_differences(there: Mapping[str, Any], now: Mapping[str, Any]) -> ChangedKeys:
    return differences(without_place(there), without_place(now), DATA_NEUTRAL)

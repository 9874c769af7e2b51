"""A run folder: everything about one training run, in one place that can be moved or sent.

config.json      resolved config of the experiment
data.json        facts about the data that the model needs: grid, classes, names of splits
data_manifest.json  the files of the data set and hashes of their contents, for image files
checkpoints/     weights, averaged weights and optimizer
damaged_checkpoints/  checkpoints that could not be read
metrics.jsonl    one record per line
damaged_metrics.jsonl  lines of it that were no records
events/          the same records, and the pictures, for TensorBoard
samples/         pictures made during training
profile/         traces of steps, if requested
wandb/           files of Weights & Biases, if requested, and the name of the run there, run_id
evaluation/      results of evaluate.py, and the samples that it judged
tokenizer/       for a prior: the run of the tokenizer whose codes it models
codes/           for a tokenizer: the codes of its images, once a prior has requested them
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixelprior.data.manifest import Manifest, manifest_from_json
from pixelprior.errors import InputError
from pixelprior.experiment.kept import kept_config, kept_facts
from pixelprior.experiment.schema import (
    DATA_NEUTRAL,
    NEUTRAL,
    without_neutral,
    without_place,
)
from pixelprior.json_forms import ANY, Form, Integer, Keys
from pixelprior.progress import Caution, Report, only_warnings
from pixelprior.system.atomic import probe_folder, write_atomically
from pixelprior.system.home import expand_home
from pixelprior.system.json_file import read_json
from pixelprior.system.leftovers import remove_leftovers
from pixelprior.system.own_file import is_own_file
from pixelprior.system.processes import is_first

EVALUATION_FORMAT = 1
"""Format of kept results. Raise it with every change after which reports cannot read older ones."""

_WITH_FORMAT = Keys({"format": Integer()})


class RunFolder:
    """Paths of a run folder, and its small files.

    Raises:
        InputError: if ``path`` is not a path, or empty.
    """

    def __init__(self, path: str | Path):
        if not isinstance(path, str | Path) or not str(path):
            raise InputError(f"a run folder must be a path, got {path!r:.80}")
        self.path = Path(expand_home(str(path)))
        self.checkpoints = self.path / "checkpoints"
        self.samples = self.path / "samples"
        self.metrics = self.path / "metrics.jsonl"
        self.events = self.path / "events"
        self.tokenizer = self.path / "tokenizer"
        self.evaluation = self.path / "evaluation"
        self._manifest = self.path / "data_manifest.json"

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

    def claim(
        self,
        config: Mapping[str, Any],
        data: Mapping[str, Any],
        manifest: Manifest | None = None,
    ) -> None:
        """Make this the folder of a run with this config on this data, new or resumed.

        A resumed run may find its data at another place, which its config then names. With several
        processes, the first one writes the files. The others check that they exist.

        Args:
            config: config of the experiment.
            data: facts about the data that the run's model needs.
            manifest: the files of the data set; None if it does not consist of image files.

        Raises:
            InputError: if the folder cannot be written, holds a run with another config or on other
                data, or holds checkpoints without a config. Its contents are then unchanged.
        """
        try:
            self._check_claim(config, data)
            if not is_first() and not self.has_data:
                raise InputError(
                    f"the first process has made the run folder {self.path}, but this one does "
                    "not find it; give a --workdir on a file system that all processes share"
                )
            self.samples.mkdir(parents=True, exist_ok=True)
            probe_folder(self.path)
        except OSError as error:
            raise InputError(
                f"the run folder {self.path} cannot be written ({error.strerror}); "
                "give another with --workdir"
            ) from error
        if not is_first():
            return
        write_atomically(self.path / "config.json", json.dumps(config, indent=2) + "\n")
        # These facts identify the data, so they stay as they were at the start of the run.
        if not self.has_data:
            if manifest is not None:
                write_atomically(self._manifest, json.dumps(manifest.as_json(), indent=1) + "\n")
            write_atomically(self.path / "data.json", json.dumps(data, indent=2) + "\n")

    def _check_claim(self, config: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        if (self.path / "config.json").exists():
            changed = differences(without_place(self.config()), without_place(config), NEUTRAL)
            if changed:
                raise InputError(
                    f"{self.path} holds a run with another config ({changed}); "
                    "use another --workdir, or the same config to resume"
                )
        elif self.checkpoints.is_dir() and any(self.checkpoints.iterdir()):
            raise InputError(
                f"{self.path} holds checkpoints but no config.json; use another --workdir"
            )
        # A run that was killed very early has only a config.
        if not self.has_data and self.checkpoints.is_dir() and any(self.checkpoints.iterdir()):
            raise InputError(
                f"{self.path} holds checkpoints but no data.json; restore it from a copy, or use "
                "another --workdir"
            )
        if self.has_data:
            changed = differences(without_place(self.data()), without_place(data), DATA_NEUTRAL)
            if changed:
                raise InputError(
                    f"the data set of the run in {self.path} has changed ({changed}); "
                    "use another --workdir, or the same data to resume"
                )

    @property
    def has_data(self) -> bool:
        """True if a run was begun here and its data are known."""
        return (self.path / "data.json").exists()

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


def differences(
    there: Mapping[str, Any], now: Mapping[str, Any], neutral: Mapping[str, Any]
) -> str:
    """Describe the keys that differ; nested keys are joined by dots. Empty if none differs.

    A key with its neutral value counts as absent.
    """
    # Through JSON and back, like the files in a folder: a tuple becomes a list.
    trees = [json.loads(json.dumps(tree)) for tree in (there, now)]
    theirs, ours = map(_leaves, trees)
    kept, wanted = (_leaves(without_neutral(tree, neutral)) for tree in trees)
    return "; ".join(
        f"{key}: {theirs.get(key, 'nothing')!r:.80} there, {ours.get(key, 'nothing')!r:.80} now"
        for key in sorted(kept.keys() | wanted.keys())
        if key not in kept or key not in wanted or kept[key] != wanted[key]
    )


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= _leaves(value, f"{prefix}{key}.")
        else:
            leaves[prefix + key] = value
    return leaves

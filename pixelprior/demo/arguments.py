"""Arguments of the demo: those after ``--`` in its command."""

import argparse
from pathlib import Path
from typing import NamedTuple

import pixelprior as pp
from pixelprior.data.place import kind_of
from pixelprior.experiment import Place

USAGE = "-- --runs=FOLDER [--data=FOLDER] [--data_dir=FOLDER]"


class Arguments(NamedTuple):
    """Arguments of the demo.

    Attributes:
        runs: the folder of the runs.
        place: the place of the data of the runs, if they have moved.
    """

    runs: Path
    place: Place

    def place_of(self, run: pp.Run) -> Place:
        """Place of the data of a run. Only folders and files move with ``--data``."""
        name = (run.tokenizer_config or run.config)["dataset"]
        if kind_of(name):
            return Place(data=self.place.data)
        return Place() if name == "digits" else Place(data_dir=self.place.data_dir)


def arguments() -> Arguments:
    """Read the arguments.

    Raises:
        InputError: if there are other arguments.
    """
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--runs", type=_path, default=Path("runs"))
    parser.add_argument("--data", type=_path)
    parser.add_argument("--data_dir", type=_path)
    try:
        given, unknown = parser.parse_known_args()
    except argparse.ArgumentError as error:
        raise pp.InputError(f"{error}; start it with {USAGE}") from error
    if unknown:
        raise pp.InputError(f"expected {USAGE}, got {' '.join(unknown)}")
    return Arguments(given.runs.absolute(), Place(given.data, given.data_dir))


def _path(text: str) -> Path:
    return Path(text).expanduser()

"""Costs of a run for ``evaluate.py --cost``, as a table and as a file."""

from pathlib import Path
from typing import Any

from pixelprior.cli.results import check_writable, write_json
from pixelprior.cli.tables.cost import cost_table
from pixelprior.experiment import SAME_PLACE, Place
from pixelprior.runs.cost import cost_of
from pixelprior.runs.load import load_trained
from pixelprior.system.console import Terminal, show


def measure_cost(
    workdir: str | Path, *, json_file: str | Path | None = None, place: Place = SAME_PLACE
) -> dict[str, Any]:
    """Measure the costs of a run, print them, and keep them in the run folder.

    Args:
        workdir: the run folder, or a file. The training of a file is not measured.
        json_file: another file for the results, or None.
        place: the place of the data, if they have moved.

    Returns:
        The content of the JSON file.

    Raises:
        InputError: if the run or its data cannot be read, or the results cannot be written.
    """
    check_writable(json_file)
    report = Terminal()
    run = load_trained(workdir, **place._asdict(), report=report)
    result = cost_of(run)
    show(cost_table(result))
    if run.folder is not None:
        run.folder.keep_evaluation("cost", result, report)
    write_json(json_file, result)
    return result

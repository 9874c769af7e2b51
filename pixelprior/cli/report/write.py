"""What ``evaluate.py --compare ... --report=FOLDER`` does: one page of runs, to look at.

The page holds all that it shows, pictures too, and needs no network. Beside it lies the JSON that
it was made from.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pixelprior.cli.report.page import render
from pixelprior.errors import InputError
from pixelprior.runs.compare import prepare, run_folders
from pixelprior.runs.report import RunReport, report_run
from pixelprior.system.atomic import write_atomically
from pixelprior.system.console import say, warn
from pixelprior.system.devices import check_batch_size, data_mesh


def write_report(
    workdirs: Sequence[str | Path], out: str | Path, *, split: str, batch_size: int
) -> dict[str, Any]:
    """Gathers what is known of runs, measures what is not, and writes ``index.html``.

    Runs of different data, or different tasks, are shown apart: they are not ranked with each
    other. A run that cannot be read is listed with the reason, and does not keep the others from
    being shown.

    Args:
        workdirs: run folders, or folders of such.
        out: the folder of the page; made if it is not there.
        split: "test" or "validation".
        batch_size: how many images to measure at once, where something is to be measured.

    Returns:
        What ``report.json`` holds.

    Raises:
        InputError: if there is no run, or the report cannot be written.
    """
    mesh = data_mesh()
    check_batch_size(batch_size, mesh)
    out = Path(out)
    folders = run_folders(workdirs, unfinished=True)
    prepare(out, "--report")
    runs: list[RunReport] = []
    problems: dict[str, str] = {}
    for number, (name, folder) in enumerate(folders.items(), 1):
        say(f"{name}, run {number} of {len(folders)}")
        try:
            runs.append(report_run(name, folder, split=split, batch_size=batch_size, mesh=mesh))
        except (InputError, OSError) as error:
            problems[name] = str(error)
            warn(f"{name} is left out: {error}")
    # The largest group first, and in each the best first; what is not a number comes last.
    groups: dict[tuple[Any, ...], list[RunReport]] = {}
    for run in sorted(runs, key=lambda run: (run.headline != run.headline, run.headline)):
        groups.setdefault(run.group, []).append(run)
    ordered = sorted(groups.values(), key=lambda group: -len(group))
    result = {
        "split": split,
        "groups": [[_as_json(run) for run in group] for group in ordered],
        "left_out": problems,
    }
    write_atomically(out / "report.json", json.dumps(result, indent=2) + "\n")
    write_atomically(out / "index.html", render(ordered, problems, split))
    say(f"report in {out / 'index.html'}")
    return result


def _as_json(run: RunReport) -> dict[str, Any]:
    return {
        "run": run.name,
        "workdir": str(run.folder),
        "config": dict(run.config),
        "training": run.training._asdict(),
        "measured": run.measured,
        "samples": run.samples,
        "cost": run.cost,
    }

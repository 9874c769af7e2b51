"""Report on several runs for ``evaluate.py --compare ... --report=FOLDER``.

The page includes its pictures and needs no network. The same folder holds the results as JSON.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pixelprior.cli.report.page import render
from pixelprior.cli.results import make_folder
from pixelprior.errors import InputError
from pixelprior.experiment import SAME_PLACE, Place
from pixelprior.figures.kept_png import kept_png
from pixelprior.progress import Report
from pixelprior.runs.compare import ComparedRun, gather, places_of_runs
from pixelprior.runs.kept_pictures import kept_pictures
from pixelprior.runs.load import load_trained
from pixelprior.runs.run import Run
from pixelprior.system.atomic import write_atomically
from pixelprior.system.console import Terminal, say, warn
from pixelprior.system.devices import data_mesh, even_batch_size


def write_report(
    workdirs: Sequence[str | Path],
    out: str | Path,
    *,
    split: str,
    batch_size: int,
    place: Place = SAME_PLACE,
) -> dict[str, Any]:
    """Collect the results of runs, measure the missing ones, and write ``index.html``.

    Runs with different data or tasks are shown in separate groups, because they cannot be ranked
    together. A run that cannot be read is listed with the reason. The other runs are still shown.

    Args:
        workdirs: run folders, folders of run folders, or files.
        out: the folder of the page; created if missing.
        split: "test" or "validation".
        batch_size: the number of images to measure at once.
        place: the place of the data, if they have moved.

    Returns:
        The content of ``report.json``.

    Raises:
        InputError: if there is no run, or the report cannot be written.
    """
    batch_size = even_batch_size(batch_size, data_mesh())
    out, report = Path(out), Terminal()
    places = places_of_runs(workdirs, unfinished=True, report=report)
    make_folder(out, out, "give another folder with --report")
    runs: list[ComparedRun] = []
    pictures: dict[str, Mapping[str, bytes]] = {}
    problems: dict[str, str] = {}
    for number, (name, found) in enumerate(places.items(), 1):
        say(f"{name}, run {number} of {len(places)}")
        try:
            run = load_trained(found, **place._asdict(), report=report)
            compared = gather(name, run, split, batch_size=batch_size, whole=True, report=report)
            pictures[name] = _pictures(run, compared, report)
            runs.append(compared)
        except (InputError, OSError) as error:
            problems[name] = str(error)
            warn(f"{name} is left out: {error}")
    # The largest group is first, and in each group the best run. NaN comes last.
    groups: dict[tuple[Any, ...], list[ComparedRun]] = {}
    for one in sorted(runs, key=lambda one: (one.headline != one.headline, one.headline)):
        groups.setdefault(one.group, []).append(one)
    ordered = sorted(groups.values(), key=lambda group: -len(group))
    result = {
        "split": split,
        "groups": [[_as_json(one) for one in group] for group in ordered],
        "left_out": problems,
    }
    write_atomically(out / "report.json", json.dumps(result, indent=2) + "\n")
    write_atomically(out / "index.html", render(ordered, pictures, problems, split))
    say(f"report in {out / 'index.html'}")
    return result


def _pictures(run: Run, compared: ComparedRun, report: Report) -> Mapping[str, bytes]:
    """Draw the pictures of a run; add the kept one of its samples nearest to training images."""
    drawn = kept_pictures(run, report)
    if run.folder is None or compared.samples is None:
        return drawn
    nearest = kept_png(run.folder.path, run.folder.evaluation / "nearest.png")
    return drawn if nearest is None else drawn | {"nearest": nearest}


def _as_json(run: ComparedRun) -> dict[str, Any]:
    return {
        "run": run.name,
        "workdir": run.place,
        "config": dict(run.config),
        "training": run.training._asdict(),
        "measured": run.measured,
        "samples": run.samples,
        "cost": run.cost,
    }

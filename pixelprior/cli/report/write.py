"""Report on several runs for ``evaluate.py --compare ... --report=FOLDER``.

The page includes its pictures and needs no network. The same folder holds the results as JSON.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pixelprior.cli.report.group import Group
from pixelprior.cli.report.page import render
from pixelprior.cli.results import make_folder
from pixelprior.errors import InputError
from pixelprior.experiment import SAME_PLACE, Place
from pixelprior.figures.kept_png import kept_png
from pixelprior.progress import Report
from pixelprior.runs.compare import places_of_runs
from pixelprior.runs.compared import ComparedRun, gather, gather_kept
from pixelprior.runs.compared_baselines import baselines_of, with_baselines, without_baselines
from pixelprior.runs.kept_pictures import keep_pictures, kept_pictures
from pixelprior.runs.load import load_records, load_trained
from pixelprior.runs.run import Run
from pixelprior.system.atomic import write_atomically
from pixelprior.system.console import Terminal, say, warn
from pixelprior.system.devices import data_mesh, even_batch_size

Pictures = Mapping[str, bytes]
"""PNG files of a run, by the kind of picture."""


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
    pictures: dict[str, Pictures] = {}
    problems: dict[str, str] = {}
    for number, (name, found) in enumerate(places.items(), 1):
        say(f"{name}, run {number} of {len(places)}")
        try:
            compared, pictures[name] = _kept(name, found, split, place, report) or _measured(
                name, found, split, batch_size, place, report
            )
            runs.append(compared)
        except (InputError, OSError) as error:
            problems[name] = str(error)
            warn(f"{name} is left out: {error}")
    # The largest group is first, and in each group the best run. NaN comes last.
    by_data: dict[tuple[Any, ...], list[ComparedRun]] = {}
    for one in sorted(runs, key=lambda one: (one.headline != one.headline, one.headline)):
        by_data.setdefault(one.group, []).append(one)
    groups = []
    for members in sorted(by_data.values(), key=lambda group: -len(group)):
        _measure_baselines(members, batch_size, place, report)
        groups.append(Group(members, baselines_of(members)))
    result = {
        "split": split,
        "groups": [[_as_json(one) for one in group.runs] for group in groups],
        "baselines": [[one._asdict() for one in group.baselines] for group in groups],
        "left_out": problems,
    }
    write_atomically(out / "report.json", json.dumps(result, indent=2) + "\n")
    write_atomically(out / "index.html", render(groups, pictures, problems, split))
    say(f"report in {out / 'index.html'}")
    return result


def _kept(
    name: str, found: str, split: str, place: Place, report: Report
) -> tuple[ComparedRun, Pictures] | None:
    """Read results and pictures that a run folder keeps; None if some are missing.

    The weights are not read. Reading them takes most of the time of a report.
    """
    run = load_records(found, **place._asdict())
    drawn = None if run is None else kept_pictures(run)
    if run is None or drawn is None:
        return None
    compared = gather_kept(name, run, split, report)
    return None if compared is None else (compared, _with_nearest(run, compared, drawn))


def _measured(
    name: str, found: str, split: str, batch_size: int, place: Place, report: Report
) -> tuple[ComparedRun, Pictures]:
    """Load a run, and measure and draw everything that its folder does not keep."""
    run = load_trained(found, **place._asdict(), report=report)
    compared = gather(name, run, split, batch_size=batch_size, whole=True, report=report)
    return compared, _with_nearest(run, compared, keep_pictures(run, report))


def _with_nearest(run: Run, compared: ComparedRun, drawn: Pictures) -> Pictures:
    """Add the kept picture of the samples nearest to training images."""
    if run.folder is None or compared.samples is None:
        return drawn
    nearest = kept_png(run.folder.path, run.folder.evaluation / "nearest.png")
    return drawn if nearest is None else {**drawn, "nearest": nearest}


def _measure_baselines(
    group: list[ComparedRun], batch_size: int, place: Place, report: Report
) -> None:
    """Measure the baselines that no run of a group has. Without the data, there are none."""
    for compared in without_baselines(group):
        say(f"baselines for {compared.name}")
        try:
            run = load_records(compared.place, **place._asdict()) or load_trained(
                compared.place, **place._asdict(), report=report
            )
            group[group.index(compared)] = with_baselines(
                run, compared, batch_size=batch_size, report=report
            )
        except (InputError, OSError) as error:
            warn(f"the baselines for {compared.name} are left out: {error}")


def _as_json(run: ComparedRun) -> dict[str, Any]:
    return {
        "run": run.name,
        "workdir": run.place,
        "config": dict(run.config),
        "num_parameters": run.num_parameters,
        "training": run.training._asdict(),
        "start": dict(run.start),
        "measured": run.measured,
        "samples": run.samples,
        "cost": run.cost,
    }

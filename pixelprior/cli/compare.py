"""Comparison of several runs for ``evaluate.py --compare``: one table, and figures."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixelprior.cli.results import check_writable, make_folder, write_json
from pixelprior.cli.tables.comparison import comparison_markdown, comparison_table, in_short
from pixelprior.data import to_pixels
from pixelprior.evaluation.comparison import Row, check_comparable, ranked
from pixelprior.evaluation.receptive_field import centre
from pixelprior.experiment import SAME_PLACE, Place
from pixelprior.figures.sheets import as_shades
from pixelprior.runs.compare import Drawn, draw, facts_at, places_of_runs, row
from pixelprior.runs.compared import gather
from pixelprior.runs.load import load_trained
from pixelprior.system.atomic import write_atomically
from pixelprior.system.console import Terminal, say, show
from pixelprior.system.devices import data_mesh, even_batch_size
from pixelprior.system.terminal import width_of


def compare_runs(
    workdirs: Sequence[str | Path],
    *,
    split: str,
    out: str | Path,
    json_file: str | Path | None,
    batch_size: int,
    place: Place = SAME_PLACE,
) -> dict[str, Any]:
    """Measure runs of pixel models, print one table and write it with figures to a folder.

    Each run is measured with the averaged weights of its best checkpoint.

    Args:
        workdirs: run folders, folders of run folders as `train_list` writes them, or files.
        split: "test" or "validation".
        out: the folder for the table and the figures; created if missing.
        json_file: the file for all results as JSON, or None.
        batch_size: the number of images to measure at once.
        place: the place of the data, if they have moved.

    Returns:
        The content of the JSON file.

    Raises:
        InputError: if a run cannot be read or has no pixel model, if the runs have different data,
            or if the results cannot be written.
    """
    batch_size = even_batch_size(batch_size, data_mesh())
    out, report = Path(out), Terminal()
    check_writable(json_file)
    places = places_of_runs(workdirs, report=report)
    facts = {name: facts_at(found) for name, found in places.items()}
    check_comparable(facts)
    make_folder(out, out, "give another folder with --out")
    rows: list[Row] = []
    drawn: dict[str, Drawn] = {}
    for number, (name, found) in enumerate(places.items(), 1):
        say(f"{name}, run {number} of {len(places)}")
        run = load_trained(found, **place._asdict(), report=report)
        compared = gather(name, run, split, batch_size=batch_size, whole=False, report=report)
        drawn[name] = draw(run)
        rows.append(row(compared, drawn[name]))
    rows = ranked(rows)
    _, data = next(iter(facts.values()))
    result = {
        "dataset": data["name"],
        "split": split,
        "split_description": data["splits"][split]["description"],
        "symbols": data["symbols"][split],
        "runs": [{"workdir": places[row.run], **_as_json(row)} for row in rows],
    }
    heading = f"{data['name']}, {data['symbols'][split]}; {split} split"
    # Conditions save nats, so such runs would seem to be better models.
    if len({"conditional" in row.model for row in rows}) > 1:
        say(
            "runs with conditions are given those of each image, so their nats are not comparable "
            "with the others; evaluate.py --marginal measures class-conditional runs without"
        )
    show([heading, "", *comparison_table(rows, split, width_of(sys.stdout))])
    write_atomically(out / "table.md", "\n".join(comparison_markdown(rows, split)) + "\n")
    _draw(rows, drawn, split, out)
    say(f"figures and table.md in {out}")
    write_json(json_file, result)
    return result


def _as_json(row: Row) -> dict[str, Any]:
    values = row._asdict() | row.training._asdict()
    del values["training"]
    values["curve"] = [
        {"step": step, "minutes": minutes, "validation_nats": nats}
        for step, minutes, nats in row.training.curve
    ]
    return values


def _draw(rows: Sequence[Row], drawn: Mapping[str, Drawn], split: str, out: Path) -> None:
    """Draw the figures, with the runs in the order of ``rows``."""
    # Imported here because Matplotlib is slow to import and nothing else needs it.
    from pixelprior.figures import plots

    names = [row.run for row in rows]
    shown = {name: drawn[name] for name in names}
    first = shown[names[0]]
    # Papers report nats for binary images, and bits per dimension for all others.
    binary = first.levels == 2
    unit, scale = ("nats", 1.0) if binary else ("bits/dim", rows[0].bits_per_dim / rows[0].nats)
    curves = {
        row.run: [(step, minutes, nats * scale) for step, minutes, nats in row.training.curve]
        for row in rows
    }
    # Records may be missing or damaged.
    if any(curves.values()):
        plots.save_learning_curves(curves, unit, out / "learning_curves.png")
    bits = f"{split} bits/dim"
    plots.save_bars(
        names,
        {
            bits: [(row.bits_per_dim, f"{row.bits_per_dim:.4f}") for row in rows],
            "parameters": [(row.parameters, f"{row.parameters:,}") for row in rows],
            "images/s, training": [_bar(row.training.images_per_second) for row in rows],
            "images/s, sampling": [_bar(row.samples_per_second) for row in rows],
            "memory of a step, MB": [_bar(row.training.memory_bytes, 1e-6) for row in rows],
        },
        out / "bars.png",
        dots=[bits],
    )
    if first.samples.shape[-1] in (1, 3):
        plots.save_rows(
            {
                name: as_shades(to_pixels(one.samples, one.levels)).astype(np.uint8)
                for name, one in shown.items()
            },
            out / "samples.png",
        )
    fields = {name: one.field for name, one in shown.items() if one.field is not None}
    if fields:
        height, width = next(iter(fields.values())).shape
        plots.save_receptive_fields(fields, centre(height, width), out / "receptive_fields.png")


def _bar(value: float | None, scale: float = 1.0) -> tuple[float, str] | None:
    """Pair a scaled value with its text; None if there is no value."""
    return None if value is None else (value * scale, in_short(value * scale))

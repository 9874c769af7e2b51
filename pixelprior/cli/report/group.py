"""Section of a group of comparable runs: a table, charts, and a card for each run."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pixelprior.cli.report.card import card
from pixelprior.cli.report.columns import RESULTS, TRAINING, model_of
from pixelprior.cli.report.elements import (
    Column,
    Rows,
    bars,
    figure,
    key,
    keys,
    paragraphs,
    table,
)
from pixelprior.cli.report.sample_quality import quality_of_runs
from pixelprior.figures.charts import line_chart, style
from pixelprior.runs.compared import HEADLINES, ComparedRun
from pixelprior.runs.compared_baselines import Baseline
from pixelprior.system.printable import html_text

_KINDS = {
    "pixels": ("Pixel model", "Pixel models"),
    "tokenizer": ("Tokenizer", "Tokenizers"),
    "prior": ("Prior over codes", "Priors over codes"),
}

_MEASURES = {
    "pixels": "NLL in nats/image",
    "tokenizer": "mean squared error",
    "prior": "NLL of the codes in nats/image",
}
"""Name and unit of the result that ranks the runs of each task."""


class Group(NamedTuple):
    """A group of comparable runs.

    Attributes:
        runs: the runs, the best first.
        baselines: the baselines of their data, the best first.
    """

    runs: Sequence[ComparedRun]
    baselines: Sequence[Baseline] = ()


def subject(run: ComparedRun) -> str:
    """Name the data set, the split and the number of images that a run is measured on."""
    data = f"{run.data['name']} {'x'.join(map(str, run.data['shape']))}"
    return f"{data}, {run.measured['split']} split, {run.measured['num_images']:,} images"


def group_section(group: Group, pictures: Mapping[str, Mapping[str, bytes]]) -> str:
    """Render the section of a group.

    Args:
        group: the group.
        pictures: PNG files of each run: the name of the run, the kind of picture, the content.
    """
    runs = group.runs
    kind = _KINDS[runs[0].task][len(runs) > 1]
    about = subject(runs[0])
    cards = "".join(card(run, pictures[run.name]) for run in runs)
    return (
        f"<section><h2>{kind}: {html_text(about)}</h2>"
        f"{_table(group)}{_charts(group)}"
        f"{quality_of_runs(runs)}{cards}</section>"
    )


def _table(group: Group) -> str:
    runs, baselines = group
    measured = runs[0].measured
    results = RESULTS[runs[0].task]
    columns = [
        Column("run", numeric=False),
        *results,
        *(Column(title, minor=True) for title in TRAINING),
    ]
    rows = [
        [
            f"{_name(run, number, len(runs))}<small>{html_text(model_of(run))}</small>",
            *(cell(run.measured) for cell in results.values()),
            *(html_text(cell(run)) for cell in TRAINING.values()),
        ]
        for number, run in enumerate(runs)
    ]
    below = [
        [
            html_text(baseline.description),
            *(cell(baseline.measured) for cell in results.values()),
            *[""] * len(TRAINING),
        ]
        for baseline in baselines
    ]
    caption = f"Results on {measured['num_images']:,} {measured['split']} images"
    if len(runs) > 1:
        caption += ", the best run first"
    none = "" if baselines else paragraphs(["Baselines: not measured."])
    return table(caption, columns, [Rows(rows), Rows(below, "Baselines")]) + none


def _name(run: ComparedRun, number: int, num_runs: int) -> str:
    """Name a run; with the key of its line, if there are several lines."""
    return key(run.name, number) if num_runs > 1 else html_text(run.name)


def _charts(group: Group) -> str:
    runs, baselines = group
    name, unit = HEADLINES[runs[0].task]
    measured = runs[0].measured
    rows = [
        (run.name, run.headline, f"{run.headline:.4g}", style(number)[0])
        for number, run in enumerate(runs)
    ] + [
        (one.description, one.measured[name], f"{one.measured[name]:.4g}", "var(--soft)")
        for one in baselines
    ]
    caption = f"{_MEASURES[runs[0].task]} on the {measured['split']} split; lower is better"
    if baselines:
        caption += ". Grey bars are baselines"
    rows.sort(key=lambda row: (row[1] != row[1], row[1]))  # NaN comes last
    charts = [figure(bars(rows), caption)] if len(rows) > 1 else []
    names = [run.name for run in runs]
    for axis, label in ((0, "steps"), (1, "minutes of training")):
        chart = line_chart(
            {run.name: [(point[axis], point[2]) for point in run.training.curve] for run in runs},
            label,
            f"validation {unit}",
        )
        if chart:
            charts.append(figure(chart + keys(names), f"Learning curve over {label}"))
    return f'<div class="parts">{"".join(charts)}</div>' if charts else ""

"""Sample quality in a report: one table of all runs, and the details of each run."""

from collections.abc import Mapping, Sequence
from typing import Any

from pixelprior.cli.report.elements import Column, Rows, figure, keys, paragraphs, table
from pixelprior.cli.tables.evaluation import (
    HEADINGS,
    accuracy_score,
    class_accuracies,
    measured_by,
    quality_rows,
    remarks,
    settings_in_words,
    shades_apart,
    statistics_of,
)
from pixelprior.figures.charts import line_chart
from pixelprior.runs.compared import ComparedRun
from pixelprior.system.printable import html_text

SHADES_OF = ("real images", "samples")
"""Sets of images whose histograms of shades are drawn, in this order."""


def quality_of_runs(runs: Sequence[ComparedRun]) -> str:
    """Render one table of sample quality for each network of features."""
    by_network: dict[str, list[ComparedRun]] = {}
    for run in runs:
        if run.samples is not None:
            by_network.setdefault(measured_by(run.samples), []).append(run)
    parts = []
    for network, judged in by_network.items():
        # The name has a row of its own, because seven numbers fill a narrow page.
        groups = [
            Rows([["", *(f"{value:.3g}" for value in figures)]], f"{run.name}: {name}")
            for run in judged
            if run.samples is not None
            for name, figures in quality_rows(run.samples, run.measured["split"])
        ]
        columns = [Column("", numeric=False), *map(Column, HEADINGS)]
        parts.append(
            f'<h3>Sample quality</h3><div class="quality">'
            f"{table(f'Measured {network}', columns, groups)}</div>"
        )
    return "".join(parts)


def quality_of_run(result: Mapping[str, Any], split: str) -> str:
    """Render how the samples of a run were judged, and everything that the table leaves out."""
    found, real = (statistics_of(result["statistics"][key]) for key in ("samples", "real"))
    rows = [
        [html_text(name), html_text(value), html_text(real[name])] for name, value in found.items()
    ]
    columns = [Column("statistic", numeric=False), Column("samples"), Column("real images")]
    return (
        paragraphs(
            [
                f"measured {measured_by(result)}",
                f"samples: {settings_in_words(result['made_by'])}",
            ]
        )
        + table("Statistics of pixels", columns, [Rows(rows)])
        + paragraphs(
            [
                shades_apart(result["statistics"]),
                *(f"attention: {words}" for words in result["statistics"]["flags"]),
                *remarks(result, split),
            ]
        )
        + _classes(result)
    )


def _classes(result: Mapping[str, Any]) -> str:
    if "classes" not in result:
        return ""
    rows = [[html_text(words), value] for value, words in class_accuracies(result)]
    score = [["of the real images (classification accuracy score)", accuracy_score(result)]]
    columns = [Column("", numeric=False), Column("accuracy")]
    return table(
        "Accuracy of a small CNN",
        columns,
        [Rows(rows, "Trained on the training images"), Rows(score, "Trained on the samples")],
    )


def shades(statistics: Mapping[str, Any]) -> list[str]:
    """Draw how often each shade occurs in real images and in samples, for each channel."""
    samples, real = statistics["samples"]["histogram"], statistics["real"]["histogram"]
    channels = ("red", "green", "blue") if len(samples) == 3 else ("grey", *map(str, range(99)))
    return [
        figure(
            line_chart(
                {
                    name: list(enumerate(shares))
                    for name, shares in zip(SHADES_OF, both, strict=True)
                },
                f"shade of {channel}",
                "share of pixels",
                whole=True,
            )
            + keys(SHADES_OF)
        )
        for channel, *both in zip(channels, real, samples, strict=False)
    ]

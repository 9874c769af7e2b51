"""Card of one run: its pictures, its figures, and how it was trained."""

from collections.abc import Iterator, Mapping

from pixelprior.cli.report.columns import RESULTS, TRAINING, model_of
from pixelprior.cli.report.elements import (
    NOTHING,
    Column,
    Rows,
    details,
    facts,
    figure,
    picture,
    table,
)
from pixelprior.cli.report.sample_quality import quality_of_run, shades
from pixelprior.cli.tables.cost import cost_lines
from pixelprior.experiment import describe_augmentation
from pixelprior.figures.charts import histogram
from pixelprior.runs.compared import ComparedRun
from pixelprior.system.printable import html_text

CAPTIONS = {
    "sample": "Samples",
    "likelihood": "Real images above the bits of each pixel; dark pixels need few bits",
    "reconstruct": "Originals above their reconstructions",
    "receptive_field": "Receptive field: the gradient of the prediction at the centre",
    "nearest": "Samples above their nearest training images: by pixels, then by features",
}
"""Caption of each kind of picture of a run, in the order of the card."""

NOT_RECORDED = "not recorded"
"""Value of a fact that older runs, and runs from a file, do not have."""


def card(run: ComparedRun, pictures: Mapping[str, bytes]) -> str:
    """Render the card of a run.

    Args:
        run: the run.
        pictures: PNG files by the kind of picture.
    """
    parts = [
        picture(pictures[kind], caption, run.name, kind)
        for kind, caption in CAPTIONS.items()
        if kind in pictures
    ]
    parts += [figure(chart) for chart in _code_use(run)]
    more = []
    if run.samples is not None:
        parts += shades(run.samples["statistics"])
        more.append(details("Sample quality", quality_of_run(run.samples, run.measured["split"])))
    if run.cost is not None:
        rows = [[html_text(words), html_text(value)] for words, value in cost_lines(run.cost)]
        columns = [Column("cost", numeric=False), Column("value")]
        more.append(details("Cost", table(f"Cost of {run.name}", columns, [Rows(rows)])))
    return (
        f"<article><h3>{html_text(run.name)}</h3><p>{html_text(model_of(run))}, "
        f'{html_text(run.measured["weights"])}</p><div class="parts">{"".join(parts)}'
        f"{facts(_facts(run))}</div>{''.join(more)}</article>"
    )


def _facts(run: ComparedRun) -> Iterator[tuple[str, str]]:
    for column, cell in RESULTS[run.task].items():
        # Narrow pages leave these columns out of the table.
        if column.minor and (text := cell(run.measured)) != NOTHING:
            yield column.title, text
    for name, figure_of in TRAINING.items():
        if (text := figure_of(run)) != NOTHING:
            yield name, text
    if changes := describe_augmentation(run.config):
        yield "augmentation", changes
    start = run.start
    for name, key in (("date", "date"), ("command", "command"), ("machine", "machine")):
        yield name, start.get(key) or NOT_RECORDED
    yield "devices", start.get("devices") or NOT_RECORDED
    versions = dict(start.get("versions", {}))
    if "python" in start:
        versions["Python"] = start["python"]
    yield (
        "versions",
        ", ".join(f"{name} {version}" for name, version in versions.items()) or NOT_RECORDED,
    )


def _code_use(run: ComparedRun) -> Iterator[str]:
    """Draw how often a tokenizer uses each code."""
    for name, level in run.measured.get("levels", {}).items():
        for codebook in level.get("counts", ()):
            used = sum(count > 0 for count in codebook)
            yield histogram(
                codebook,
                f"{name}: {used} of {len(codebook)} codes used, "
                f"perplexity {level['perplexity']:.1f}",
            )

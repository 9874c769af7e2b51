"""Table that compares runs."""

from collections.abc import Sequence

from pixelprior.evaluation.comparison import Row, ranked
from pixelprior.system.printable import printable

GAP = "  "


def comparison_table(rows: Sequence[Row], split: str, width: int | None = None) -> list[str]:
    """Format the runs as lines of text, the best first.

    Args:
        rows: the runs.
        split: "test" or "validation".
        width: the number of characters in a line. Columns beyond it follow in a second table. None
            for one table.
    """
    lines = _cells(rows, split)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    tables, size = [[0]], widths[0]
    for column in range(1, len(widths)):
        size += len(GAP) + widths[column]
        if width is not None and size > width:
            # Each table begins with the names of the runs.
            tables.append([0])
            size = widths[0] + len(GAP) + widths[column]
        tables[-1].append(column)
    text: list[str] = []
    for table in tables:
        text += [""] if text else []
        # Names are aligned left, numbers right.
        text += [
            GAP.join(
                line[n].ljust(widths[n]) if n < 2 else line[n].rjust(widths[n]) for n in table
            ).rstrip()
            for line in lines
        ]
    return text


def comparison_markdown(rows: Sequence[Row], split: str) -> list[str]:
    """Format the same table in Markdown."""
    lines = [[cell.replace("|", r"\|") for cell in cells] for cells in _cells(rows, split)]
    head, *body = ("| " + " | ".join(cells) + " |" for cells in lines)
    return [head, "| --- | --- |" + " ---: |" * (len(_cells([], split)[0]) - 2), *body]


def _cells(rows: Sequence[Row], split: str) -> list[list[str]]:
    head = [
        "run",
        "model",
        "parameters",
        "steps",
        "minutes",
        f"{split} nats",
        "bits/dim",
        "trained img/s",
        "sampled img/s",
        "step MB",
    ]
    return [head, *(_row_cells(row) for row in ranked(rows))]


def _row_cells(row: Row) -> list[str]:
    training = row.training
    whole = training.steps >= row.num_steps
    # A file has no records of its training.
    recorded = training.steps > 0
    steps = f"{training.steps}" if whole else f"{training.steps} of {row.num_steps}"
    return [
        printable(row.run),
        row.model,
        f"{row.parameters:,}",
        steps if recorded else "-",
        f"{training.minutes:.1f}" if recorded else "-",
        f"{row.nats:.2f}",
        f"{row.bits_per_dim:.4f}",
        "-" if training.images_per_second is None else in_short(training.images_per_second),
        in_short(row.samples_per_second),
        "-" if training.memory_bytes is None else in_short(training.memory_bytes / 1e6),
    ]


def in_short(value: float) -> str:
    """Format a value with about three figures. A time measured once is less precise than that."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

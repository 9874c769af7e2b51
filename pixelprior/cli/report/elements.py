"""Elements of the report page: tables, pictures, keys of lines, lists of facts.

All functions return HTML. Arguments are plain text unless a name says that it is HTML.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pixelprior.figures.charts import style
from pixelprior.system.printable import html_text

NOTHING = "-"
"""Cell of a value that does not exist."""


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        title: the heading.
        numeric: align the cells right, as numbers; text is aligned left.
        minor: leave the column out on narrow pages.
    """

    title: str
    numeric: bool = True
    minor: bool = False


class Rows(NamedTuple):
    """Rows of a table that belong together.

    Attributes:
        rows: the cells of each row, as HTML. The first cell is the name of the row.
        title: the heading of these rows; empty for none.
    """

    rows: Sequence[Sequence[str]]
    title: str = ""


def table(caption: str, columns: Sequence[Column], groups: Iterable[Rows]) -> str:
    """Render a table. Columns without any value are left out."""
    groups = [group for group in groups if group.rows]
    every_row = [row for group in groups for row in group.rows]
    shown = [
        number
        for number in range(len(columns))
        if number == 0 or any(row[number] not in ("", NOTHING) for row in every_row)
    ]
    head = "".join(
        f'<th scope="col"{_classes(columns[n])}>{html_text(columns[n].title)}</th>' for n in shown
    )
    bodies = []
    for rows, title in groups:
        lines = [
            f'<tr><th scope="rowgroup" class="group" colspan="{len(shown)}">'
            f"{html_text(title)}</th></tr>"
        ] * bool(title)
        for row in rows:
            cells = (f"<td{_classes(columns[n])}>{row[n]}</td>" for n in shown[1:])
            lines.append(
                f'<tr><th scope="row"{_classes(columns[0])}>{row[0]}</th>{"".join(cells)}</tr>'
            )
        bodies.append(f"<tbody>{''.join(lines)}</tbody>")
    return (
        f"<table><caption>{html_text(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"{''.join(bodies)}</table>"
    )


def _classes(column: Column) -> str:
    names = ["num"] * column.numeric + ["minor"] * column.minor
    return f' class="{" ".join(names)}"' if names else ""


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Render names and values, which may wrap anywhere."""
    found = "".join(
        f"<div><dt>{html_text(name)}</dt><dd>{html_text(value)}</dd></div>" for name, value in pairs
    )
    return f'<dl class="facts">{found}</dl>'


def details(title: str, html: str) -> str:
    """Render a part that opens on request."""
    return f"<details><summary>{html_text(title)}</summary>{html}</details>"


def paragraphs(texts: Iterable[str]) -> str:
    """Render each text as a paragraph, which begins with a capital letter."""
    return "".join(f"<p>{html_text(text[:1].upper() + text[1:])}</p>" for text in texts)


def picture(png: bytes, caption: str, about: str, kind: str) -> str:
    """Render an image with its caption.

    Args:
        png: the content of the PNG file.
        caption: the text below the image.
        about: the run or the data set of the image, for readers who do not see it.
        kind: the class of the figure in the style sheet.
    """
    source = "data:image/png;base64," + base64.b64encode(png).decode()
    return (
        f'<figure class="picture {kind}"><img alt="{html_text(f"{about}: {caption}")}" '
        f'src="{source}"><figcaption>{html_text(caption)}</figcaption></figure>'
    )


def figure(chart: str, caption: str = "") -> str:
    """Render a chart, which is HTML, with an optional caption."""
    below = f"<figcaption>{html_text(caption)}</figcaption>" if caption else ""
    return f"<figure>{chart}{below}</figure>"


def key(name: str, number: int) -> str:
    """Render the key of one line: its style and its name."""
    colour, dashes = style(number)
    return (
        f'<svg class="key" viewBox="0 0 28 10" aria-hidden="true"><line x1="0" x2="28" y1="5" '
        f'y2="5" style="stroke:{colour}" stroke-dasharray="{dashes}"/></svg>{html_text(name)}'
    )


def keys(names: Sequence[str]) -> str:
    """Render the keys of the lines of a chart. A single line needs no key."""
    if len(names) < 2:
        return ""
    found = "".join(f"<span>{key(name, number)}</span>" for number, name in enumerate(names))
    return f'<p class="keys">{found}</p>'


def bars(rows: Sequence[tuple[str, float, str, str]]) -> str:
    """Render bars that begin at zero, each below its name and its value.

    Text wraps on narrow pages, so this is a list and not an image.

    Args:
        rows: the name, the value, its text and the colour of each bar.
    """
    most = max((value for _, value, _, _ in rows), default=0.0)
    found = "".join(
        f"<li><span>{html_text(name)}</span> <span>{html_text(text)}</span>"
        f'<i style="width:{_percent(value, most)};background:{colour}"></i></li>'
        for name, value, text, colour in rows
    )
    return f'<ul class="bars">{found}</ul>'


def _percent(value: float, most: float) -> str:
    share = value / most if most > 0 else 0.0
    # NaN has no length.
    return f"{100 * share:.2f}%" if 0 <= share <= 1 else "0%"


def with_error(value: float, error: float, form: str) -> str:
    """Render a mean and its standard error."""
    return f'{value:{form}} <span class="error">± {error:{form}}</span>'


def list_of(items: Mapping[str, str]) -> str:
    """Render a list of names, each with a text."""
    rows = "".join(
        f"<li><b>{html_text(name)}</b>: {html_text(text)}</li>" for name, text in items.items()
    )
    return f"<ul>{rows}</ul>"

"""HTML page of a report, from results that are already there. Nothing is measured here."""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path

from pixelprior import __version__
from pixelprior.cli.report.elements import list_of, paragraphs, picture
from pixelprior.cli.report.group import Group, group_section
from pixelprior.runs.compared import ComparedRun
from pixelprior.system.printable import html_text

STYLESHEET = Path(__file__).with_name("report.css")


def render(
    groups: Sequence[Group],
    pictures: Mapping[str, Mapping[str, bytes]],
    problems: Mapping[str, str],
    split: str,
) -> str:
    """Render the whole page.

    Args:
        groups: groups of comparable runs.
        pictures: PNG files of each run: the name of the run, the kind of picture, the content.
        problems: the reason for each run that could not be read, by name.
        split: "test" or "validation".
    """
    title = _title([run for group in groups for run in group.runs], split)
    intro = [f"Written on {datetime.date.today().isoformat()} with pixelprior {__version__}."]
    if len(groups) > 1:
        intro.append(
            "Runs with different data or tasks are in separate groups. Their figures are not "
            "comparable."
        )
    body = [_data(groups, pictures), *(group_section(group, pictures) for group in groups)]
    if problems:
        body.append(f"<section><h2>Left out</h2>{list_of(problems)}</section>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html_text(title)} - pixelprior</title>"
        f"<style>{STYLESHEET.read_text()}</style></head>"
        f"<body><main><h1>{html_text(title)}</h1>{paragraphs(intro)}{''.join(body)}</main></body>"
        "</html>\n"
    )


def _title(runs: Sequence[ComparedRun], split: str) -> str:
    names = dict.fromkeys(run.data["name"] for run in runs)
    data = f" on {', '.join(names)}" if names else ""
    return f"{len(runs)} run{'s' * (len(runs) != 1)}{data}, {split} split"


def _data(groups: Sequence[Group], pictures: Mapping[str, Mapping[str, bytes]]) -> str:
    """Render each data set once: its facts, and real images."""
    found: dict[tuple[str, ...], tuple[ComparedRun, bytes | None]] = {}
    for group in groups:
        for run in group.runs:
            _, identity, shape, symbols, description, _ = run.group
            data = (identity, str(shape), symbols, description)
            png = pictures[run.name].get("real")
            # Tokenizers have no picture of real images alone.
            if data not in found or found[data][1] is None:
                found[data] = run, png
    return "".join(_one_data_set(run, png) for run, png in found.values())


def _one_data_set(run: ComparedRun, real: bytes | None) -> str:
    name, split = run.data["name"], run.measured["split"]
    size = " x ".join(map(str, run.data["shape"]))
    about = (
        f"{size}, {run.data['symbols'][split]}; {split} split "
        f"({run.data['splits'][split]['description']})"
    )
    shown = "" if real is None else picture(real, f"Real images of the {split} split", name, "real")
    note = run.data["note"]
    texts = [f"{about}.", *([f"{note}."] if note else [])]
    return f"<section><h2>Data: {html_text(name)}</h2>{paragraphs(texts)}{shown}</section>"

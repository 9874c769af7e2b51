"""HTML page of a report, from results that are already there. Nothing is measured here."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pixelprior.cli.tables.comparison import in_short
from pixelprior.cli.tables.cost import cost_lines
from pixelprior.cli.tables.evaluation import HEADINGS, measured_by, quality_rows, samples_table
from pixelprior.figures.charts import histogram, line_chart, style
from pixelprior.runs.compare import HEADLINES, ComparedRun
from pixelprior.system.printable import html_text

STYLESHEET = Path(__file__).with_name("report.css")

CAPTIONS = {
    "sample": "Samples",
    "real": "Real images of the split",
    "likelihood": "Real images above the bits of each pixel; dark pixels need few bits",
    "reconstruct": "Originals above their reconstructions",
    "receptive_field": "Receptive field: the gradient of the prediction at the centre",
    "nearest": "Samples above their nearest training images: by pixels, then by features",
}
"""Caption of each kind of picture, in the order of the page."""


SHADES_OF = ("real images", "samples")
"""Sets of images whose histograms of shades are drawn, in this order."""


def render(
    groups: Sequence[Sequence[ComparedRun]],
    pictures: Mapping[str, Mapping[str, bytes]],
    problems: Mapping[str, str],
    split: str,
) -> str:
    """Render the whole page.

    Args:
        groups: groups of comparable runs, the best run first in each group.
        pictures: PNG files of each run: the name of the run, the kind of picture, the content.
        problems: the reason for each run that could not be read, by name.
        split: "test" or "validation".
    """
    body = [_group(group, pictures, split) for group in groups]
    if problems:
        rows = "".join(
            f"<li><b>{html_text(name)}</b>: {html_text(reason)}</li>"
            for name, reason in problems.items()
        )
        body.append(f"<section><h2>Left out</h2><ul>{rows}</ul></section>")
    apart = (
        "<p>Runs with different data or tasks are in separate groups. Their figures are not "
        "comparable.</p>"
        if len(groups) > 1
        else ""
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>pixelprior report</title><style>{STYLESHEET.read_text()}</style></head>"
        f"<body><main><h1>Runs side by side</h1>{apart}{''.join(body)}</main></body></html>\n"
    )


def _group(
    runs: Sequence[ComparedRun], pictures: Mapping[str, Mapping[str, bytes]], split: str
) -> str:
    task, name, shape, symbols, description, _ = runs[0].group
    size = "x".join(map(str, shape))
    kinds = {"pixels": "Pixel models", "tokenizer": "Tokenizers", "prior": "Priors over codes"}
    note = runs[0].measured.get("note")
    measured = runs[0].measured
    articles = "".join(_run(run, pictures[run.name]) for run in runs)
    return (
        f"<section><h2>{kinds[task]}: {html_text(name)}</h2>"
        f"<p>{size}, {html_text(symbols)}; {split} split ({html_text(description)}), "
        f"{measured['num_images']:,} images"
        + (f". {html_text(note)}" if note else "")
        + f"</p>{_table(runs)}{_curves(runs)}{_samples_table(runs, split)}"
        f"<div class='runs'>{articles}</div></section>"
    )


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Render a table of HTML cells. It scrolls by itself on a narrow page."""
    titles = "".join(f"<th>{html_text(title)}</th>" for title in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{titles}</tr>{body}</table></div>'


def _key(name: str, number: int) -> str:
    """Render the key of one line: its style and its name."""
    colour, dashes = style(number)
    return (
        f'<svg class="key" viewBox="0 0 28 10"><line x1="0" x2="28" y1="5" y2="5" '
        f'style="stroke:{colour}" stroke-dasharray="{dashes}"/></svg>{html_text(name)}'
    )


def _keys(names: Sequence[str]) -> str:
    """Render the keys of all lines of a chart."""
    keys = "".join(f"<span>{_key(name, number)}</span>" for number, name in enumerate(names))
    return f'<p class="keys">{keys}</p>'


def _table(runs: Sequence[ComparedRun]) -> str:
    rows = []
    for number, run in enumerate(runs):
        measured, training = run.measured, run.training
        # A file has no records of its training.
        recorded = training.steps > 0
        steps = f"{training.steps:,}"
        if training.steps < run.config["num_steps"]:
            steps += f" of {run.config['num_steps']:,}"
        rows.append(
            [
                _key(run.name, number),
                html_text(_model(run)),
                *_headline(measured, run.task),
                steps if recorded else "-",
                f"{training.minutes:.1f}" if recorded else "-",
                _maybe(training.images_per_second),
            ]
        )
    return _rows(
        ["run", "model", *_HEADLINES[runs[0].task], "steps", "minutes", "training images/s"], rows
    )


_HEADLINES = {
    "pixels": ("nats/image", "bits/dim"),
    "tokenizer": ("MSE", "PSNR", "SSIM", "LPIPS", "bits of codes"),
    "prior": ("nats/image", "bits/code", "bits/dim with decoder"),
}


def _headline(measured: Mapping[str, Any], task: str) -> list[str]:
    def number(key: str, form: str) -> str:
        return format(measured[key], form) if key in measured else "-"

    if task == "tokenizer":
        return [
            f"{measured['squared_error']:.6f} ± {measured['squared_error_error']:.6f}",
            f"{measured['psnr']:.2f} dB",
            number("ssim", ".4f"),
            number("lpips", ".4f"),
            number("code_bits", ",.0f"),
        ]
    nats = f"{measured['nats']:.2f} ± {measured['nats_error']:.2f}"
    if task == "pixels":
        return [nats, number("bits_per_dim", ".4f")]
    return [nats, number("bits_per_code", ".4f"), number("bits_per_dim", ".4f")]


def _model(run: ComparedRun) -> str:
    config = run.config
    given = ", class-conditional" if config.get("class_conditional") else ""
    if run.task == "pixels":
        return config["model"]["name"] + given
    if run.task == "tokenizer":
        return f"{config['tokenizer']['name']}, {config['quantizer']['name']} quantizer"
    return " + ".join(model["name"] for model in config["models"].values()) + given


def _curves(runs: Sequence[ComparedRun]) -> str:
    what = f"validation {HEADLINES[runs[0].task][1]}"
    charts = [
        line_chart(
            {run.name: [(point[axis], point[2]) for point in run.training.curve] for run in runs},
            label,
            what,
        )
        for axis, label in ((0, "steps"), (1, "minutes of training"))
    ]
    if not any(charts):
        return ""
    figures = "".join(f"<figure>{chart}</figure>" for chart in charts)
    return f'<div class="charts">{figures}</div>{_keys([run.name for run in runs])}'


def _samples_table(runs: Sequence[ComparedRun], split: str) -> str:
    """Render one table of sample quality for each network of features."""
    by_network: dict[str, list[ComparedRun]] = {}
    for run in runs:
        if run.samples is not None:
            by_network.setdefault(measured_by(run.samples), []).append(run)
    parts = []
    for network, judged in by_network.items():
        rows = [
            [html_text(f"{run.name}: {name}"), *(f"{value:.4g}" for value in figures)]
            for run in judged
            if run.samples is not None
            for name, figures in quality_rows(run.samples, split)
        ]
        parts.append(f"<h3>Samples, {html_text(network)}</h3>{_rows(['', *HEADINGS], rows)}")
    return "".join(parts)


def _run(run: ComparedRun, pictures: Mapping[str, bytes]) -> str:
    parts = [
        f"<figure class='picture {kind}'><img alt='{html_text(CAPTIONS[kind])}' src='{_data(png)}'>"
        f"<figcaption>{html_text(CAPTIONS[kind])}</figcaption></figure>"
        for kind, png in pictures.items()
    ]
    for name, level in run.measured.get("levels", {}).items():
        if "counts" in level:
            for codebook in level["counts"]:
                used = sum(count > 0 for count in codebook)
                parts.append(
                    "<figure>"
                    + histogram(
                        codebook,
                        f"{name}: {used} of {len(codebook)} codes used, "
                        f"perplexity {level['perplexity']:.1f}",
                    )
                    + "</figure>"
                )
    if run.samples is not None:
        parts += [f"<figure>{chart}</figure>" for chart in _histograms(run.samples["statistics"])]
        parts.append(_keys(SHADES_OF))
        words = "\n".join(map(html_text, samples_table(run.samples, run.measured["split"])))
        parts.append(
            "<details><summary>Sample quality</summary>"
            f"<div class='wide'><pre>{words}</pre></div></details>"
        )
    if run.cost is not None:
        rows = [[html_text(words), html_text(value)] for words, value in cost_lines(run.cost)]
        parts.append(f"<details><summary>Cost</summary>{_rows(['', ''], rows)}</details>")
    return (
        f"<article><h3>{html_text(run.name)}</h3><p>{html_text(_model(run))}, "
        f"{html_text(run.measured['weights'])}</p>{''.join(parts)}</article>"
    )


def _histograms(statistics: Mapping[str, Any]) -> list[str]:
    """Draw how often each shade occurs in real images and in samples, for each channel."""
    samples, real = statistics["samples"]["histogram"], statistics["real"]["histogram"]
    channels = ("red", "green", "blue") if len(samples) == 3 else ("grey", *map(str, range(99)))
    return [
        line_chart(
            {name: list(enumerate(shares)) for name, shares in zip(SHADES_OF, both, strict=True)},
            f"shade of {channel}",
            "share of pixels",
            whole=True,
        )
        for channel, *both in zip(channels, real, samples, strict=False)
    ]


def _maybe(value: float | None) -> str:
    return "-" if value is None else in_short(value)


def _data(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()

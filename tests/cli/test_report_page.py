"""The page of a report, from results that nobody measured: what it says and what it leaves out."""

import re
from html.parser import HTMLParser

import pytest

from pixelprior.cli.report.elements import Column, Rows, bars, facts, keys, table
from pixelprior.cli.report.group import Group
from pixelprior.cli.report.page import render
from pixelprior.cli.report.sample_quality import shades
from pixelprior.runs.compared_baselines import baselines_of
from tests.cli.compared_runs import (
    COST,
    SAMPLES,
    STATISTICS,
    pixel_run,
    png,
    prior_run,
    tokenizer_run,
)

VOID = {"meta", "img", "line", "rect", "circle", "polyline", "polygon"}
KINDS = ("sample", "real", "likelihood", "receptive_field")


class Page(HTMLParser):
    """Checks that tags are closed in order; keeps tags with their attributes, and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)


def page_of(*groups, problems=None):
    """The page of these groups of runs."""
    groups = [Group(runs, baselines_of(runs)) for runs in groups]
    pictures = {run.name: dict.fromkeys(KINDS, png()) for group in groups for run in group.runs}
    return render(groups, pictures, problems or {}, "test")


def cells(text):
    """The cells of each row of the tables of a page."""
    rows = re.findall(r"<tr>(.*?)</tr>", text)
    return [
        [re.sub(r"<small>.*?</small>|<svg.*?</svg>|<[^>]*>", "", cell) for cell in row]
        for row in (re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows)
    ]


def test_baselines_stand_beside_the_models_in_the_table_and_the_chart():
    text = page_of([pixel_run("a"), pixel_run("b", 95.0)])
    rows = cells(text)
    assert rows[0] == [
        *("run", "nats/image", "bits/dim", "parameters", "steps", "minutes", "training images/s")
    ]
    assert rows[1] == ["a", "91.51 ± 0.52", "2.0629", "12,345", "20", "1.0", "493"]
    assert rows[3:6] == [
        ["Baselines"],
        ["per-pixel histogram", "108.11", "2.4371", *[""] * 4],
        ["uniform", "181.33", "4.0875", *[""] * 4],
    ]
    chart = re.search(r'<ul class="bars">(.*?)</ul>', text)[1]
    assert re.findall(r"<li><span>(.*?)</span> <span>(.*?)</span>", chart) == [
        *[("a", "91.51"), ("b", "95"), ("per-pixel histogram", "108.1"), ("uniform", "181.3")]
    ]
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%", chart)]
    assert widths == pytest.approx([50.47, 52.39, 59.62, 100], abs=0.01)


def test_titles_say_what_is_compared():
    text = page_of([pixel_run("a"), pixel_run("b", 95.0)], [tokenizer_run()], [prior_run()])
    assert "<title>4 runs on digits, test split - pixelprior</title>" in text
    assert re.findall("<h2>(.*?)</h2>", text) == [
        "Data: digits",
        "Pixel models: digits 8x8x1, test split, 359 images",
        "Tokenizer: digits 8x8x1, test split, 359 images",
        "Prior over codes: digits 8x8x1, test split, 359 images",
    ]


def test_real_images_are_shown_once():
    text = page_of([pixel_run("a"), pixel_run("b", 95.0)], [prior_run()])
    captions = re.findall("<figcaption>(.*?)</figcaption>", text)
    assert captions.count("Real images of the test split") == 1
    assert captions.count("Samples") == 3


def test_each_run_says_how_it_was_trained_and_older_runs_that_it_is_not_recorded():
    text = page_of([pixel_run("new"), pixel_run("old", 95.0, start={})])
    new, old = (
        dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", article))
        for article in re.findall("<article>(.*?)</article>", text)
    )
    assert new["date"] == "2026-01-02" and new["machine"] == "A fast CPU, 8 cores"
    assert new["command"].startswith("python train.py --config=configs/digits.py")
    assert new["versions"] == "pixelprior 0.1.0, jax 0.10.2, flax 0.12.8, Python 3.12.1"
    names = ("date", "command", "machine", "devices", "versions")
    assert {old[name] for name in names} == {"not recorded"}


def test_a_run_says_its_augmentation():
    run = pixel_run()
    augmented = run._replace(config=run.config | {"flip": True, "crop_padding": 1})
    assert "flip, crop_padding=1" in page_of([augmented])
    assert "augmentation" not in page_of([run])


def test_a_single_line_has_no_legend():
    assert 'class="key' not in page_of([pixel_run()])
    assert page_of([pixel_run("a"), pixel_run("b", 95.0)]).count('<p class="keys">') == 2
    assert keys(["a"]) == ""


def test_samples_and_costs_are_tables():
    text = page_of([pixel_run(samples=SAMPLES, cost=COST)])
    rows = cells(text)
    assert ["", "3.7", "-0.00525", "6.24", "0.437", "0.954", "0.163", "0.0904"] in rows
    assert ["vertical", "nan", "nan"] in rows and ["repeated", "50.00%", "50.00%"] in rows
    assert ["of the real images (classification accuracy score)", "50.00%"] in rows
    assert ["GFLOP per image of a training step", "2.500"] in rows
    assert "<p>Attention: half of the samples are repeated</p>" in text


def test_each_channel_has_its_histogram():
    def coloured(num):
        one = STATISTICS | {"histogram": [[1 / 256] * 256] * num}
        return shades(SAMPLES["statistics"] | {"samples": one, "real": one})

    assert [re.search("shade of ([a-z]+)", one)[1] for one in coloured(3)] == [
        *("red", "green", "blue")
    ]
    assert len(coloured(1)) == 1 and "shade of grey" in coloured(1)[0]


def test_columns_without_values_are_left_out():
    head, *_ = cells(page_of([tokenizer_run()]))
    assert "SSIM" in head and "LPIPS" not in head
    text = table(
        "c", [Column("a", numeric=False), Column("b"), Column("c")], [Rows([["x", "-", "1"]])]
    )
    assert cells(text) == [["a", "c"], ["x", "1"]]


def test_numbers_are_aligned_right_and_text_left():
    columns = [Column("run", numeric=False), Column("nats"), Column("steps", minor=True)]
    tags = Page(table("Results", columns, [Rows([["a", "1", "2"]], "b")])).tags
    classes = [(tag, of.get("class", "")) for tag, of in tags if tag in ("th", "td")]
    assert classes == [
        *[("th", ""), ("th", "num"), ("th", "num minor")],
        *[("th", "group"), ("th", ""), ("td", "num"), ("td", "num minor")],
    ]


def test_every_picture_has_a_text_and_every_name_is_escaped():
    name = "<script>alert('&\")</script>\u202e"
    run = pixel_run(name, samples=SAMPLES, start={"command": name, "versions": {name: name}})
    groups = [[run, pixel_run("b", 95.0)], [tokenizer_run()]]
    text = page_of(*groups, problems={name: name})
    page = Page(text)
    assert not any(tag == "script" for tag, _ in page.tags) and "\u202e" not in text
    images = [of for tag, of in page.tags if tag == "img"]
    assert all(of["alt"] and of["src"].startswith("data:image/png;base64,") for of in images)
    assert len({of["alt"] for of in images}) == len(images)
    charts = [of for tag, of in page.tags if tag == "svg"]
    assert all(of.get("aria-label") or of.get("aria-hidden") == "true" for of in charts)
    assert page.tags[0] == ("html", {"lang": "en"})


def test_headings_are_in_order():
    text = page_of([pixel_run(samples=SAMPLES), pixel_run("b", 95.0)], problems={"c": "no weights"})
    levels = [int(level) for level in re.findall(r"<h(\d)>", text)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))


def test_the_page_needs_no_network():
    text = page_of([pixel_run(samples=SAMPLES)])
    assert not re.search(r"https?://|@import|url\(|<link|<script", text)


def test_bars_of_values_that_are_no_lengths():
    text = bars([("a", 2.0, "2", "red"), ("b", 1.0, "1", "red"), ("c", float("nan"), "nan", "red")])
    assert re.findall(r"width:(.*?);", text) == ["100.00%", "50.00%", "0%"]
    assert re.findall(r"width:(.*?);", bars([("a", 0.0, "0", "red")])) == ["0.00%"]


def test_facts_escape_their_text():
    assert facts([("a<", "b&")]) == (
        '<dl class="facts"><div><dt>a&lt;</dt><dd>b&amp;</dd></div></dl>'
    )


def test_groups_without_baselines_say_so():
    assert "Baselines: not measured." in page_of([pixel_run(baselines={})])
    assert "Baselines: not measured." not in page_of([pixel_run()])

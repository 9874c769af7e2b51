"""The page of several runs: complete in itself, and nothing ranked that cannot be."""

import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from pixelprior.cli.report.write import write_report
from pixelprior.errors import InputError

VOID = {"meta", "img", "line", "rect", "circle", "polyline", "polygon"}


class Page(HTMLParser):
    """Checks that tags are closed in order; keeps pictures, links and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.links, self.text = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.sources += [attributes[key] for key in ("src", "href") if key in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)


@pytest.fixture(scope="module")
def runs(digits, vqvae, vqvae2, prior, tmp_path_factory):
    """Copies of runs of all tasks, and one that has no checkpoint."""
    folder = tmp_path_factory.mktemp("runs")
    names = {"digits": digits, "vqvae": vqvae, "vqvae2": vqvae2, "prior": prior}
    for name, run in names.items():
        shutil.copytree(run, folder / name)
    shutil.copytree(digits, folder / "begun", ignore=shutil.ignore_patterns("checkpoints"))
    return folder


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory, script):
    out = tmp_path_factory.mktemp("report") / "page"
    result = script("evaluate", "--compare", str(runs), f"--report={out}")
    assert result.status == 0, result.errors
    return out, result


@pytest.mark.slow
def test_the_page_is_complete_in_itself(page):
    out, _ = page
    assert sorted(path.name for path in out.iterdir()) == ["index.html", "report.json"]
    text = (out / "index.html").read_text()
    found = Page(text)
    # Samples, real ones, bits and the receptive field; two reconstructions; and those of a prior.
    assert len(found.sources) == 4 + 2 + 3
    assert all(source.startswith("data:image/png;base64,") for source in found.sources)
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    assert "prefers-color-scheme: dark" in text and "width=device-width" in text


@pytest.mark.slow
def test_runs_are_ranked_apart(page):
    out, _ = page
    result = json.loads((out / "report.json").read_text())
    groups = [[run["run"] for run in group] for group in result["groups"]]
    # The two tokenizers are of the same images; the others stand alone.
    assert sorted(groups[0]) == ["vqvae", "vqvae2"] and sorted(groups[1:]) == [
        ["digits"],
        ["prior"],
    ]
    errors = [run["measured"]["squared_error"] for run in result["groups"][0]]
    assert errors == sorted(errors)
    words = " ".join(Page((out / "index.html").read_text()).text)
    assert "Runs with different data or tasks are in separate groups" in words
    measured = next(group[0] for group in result["groups"] if group[0]["run"] == "digits")
    assert f"{measured['measured']['nats']:.2f}" in words


@pytest.mark.slow
def test_a_run_without_checkpoints_is_listed(page):
    out, said = page
    assert "begun is left out: " in said.errors
    assert "no checkpoint yet" in json.loads((out / "report.json").read_text())["left_out"]["begun"]
    assert "Left out" in (out / "index.html").read_text()


@pytest.mark.slow
def test_what_was_measured_is_not_measured_again(runs, page, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("it is kept already")

    monkeypatch.setattr("pixelprior.runs.compare.measure", refuse)
    monkeypatch.setattr("pixelprior.runs.kept_pictures.save_pixels", refuse)
    write_report([runs], tmp_path, split="test", batch_size=64)
    assert (tmp_path / "index.html").read_text() == (page[0] / "index.html").read_text()


def test_what_cannot_be_reported(tmp_path):
    with pytest.raises(InputError, match="--compare needs run folders"):
        write_report([], tmp_path, split="test", batch_size=64)
    (tmp_path / "file").write_text("")
    (tmp_path / "run").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_report([tmp_path / "run"], tmp_path / "file", split="test", batch_size=64)


def test_folders_that_are_no_runs_are_listed(tmp_path):
    (tmp_path / "run").mkdir()
    result = write_report([tmp_path / "run"], tmp_path / "out", split="test", batch_size=64)
    assert result["groups"] == [] and "is not a run folder" in result["left_out"]["run"]


def test_flags_of_a_report(script):
    result = script("evaluate", "--report=x")
    assert result.status == 2 and "--report is of the runs that follow --compare" in result.errors

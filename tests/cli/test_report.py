"""The page of several runs: complete in itself, and nothing ranked that cannot be."""

import datetime
import json
import re
import shutil

import pytest

from pixelprior.cli.report.write import write_report
from pixelprior.errors import InputError
from pixelprior.runs.compared import gather_kept
from pixelprior.runs.kept_pictures import kept_pictures
from pixelprior.runs.load import load_records, load_trained
from tests.cli.test_report_page import Page


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
    images = [of["src"] for tag, of in Page(text).tags if tag == "img"]
    # Samples, bits and the receptive field; two reconstructions; those of a prior; real images.
    assert len(images) == 3 + 2 + 2 + 1
    assert all(source.startswith("data:image/png;base64,") for source in images)
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
def test_baselines_are_measured_once_for_each_group(runs, page):
    result = json.loads((page[0] / "report.json").read_text())
    found = dict(
        zip((group[0]["run"] for group in result["groups"]), result["baselines"], strict=True)
    )
    assert [len(found[name]) for name in ("digits", "prior")] == [3, 2]
    uniform = next(one for one in found["digits"] if one["description"] == "uniform")
    assert uniform["measured"]["bits_per_dim"] == pytest.approx(4.0875, abs=1e-4)
    # They are kept with the results of a run.
    kept = json.loads((runs / "digits" / "evaluation" / "test.json").read_text())
    assert kept["baselines"]["uniform"]["nats"] == uniform["measured"]["nats"]
    # Two tokenizers with codes of different sizes share the mean, and each has its own PCA.
    tokenizers = found.get("vqvae") or found["vqvae2"]
    assert len([one for one in tokenizers if "the mean" in one["description"]]) == 1
    bits = {run["measured"]["code_bits"] for run in result["groups"][0]}
    assert len([one for one in tokenizers if "PCA" in one["description"]]) == len(bits)


@pytest.mark.slow
def test_each_run_says_how_it_was_trained(page):
    groups = json.loads((page[0] / "report.json").read_text())["groups"]
    for run in (run for group in groups for run in group):
        start = run["start"]
        assert start["command"].startswith("python train.py --config=")
        assert datetime.date.fromisoformat(start["date"]) <= datetime.date.today()
        assert start["versions"].keys() >= {"pixelprior", "jax", "flax"} and start["python"]
        assert "core" in start["machine"] and start["devices"].endswith("(cpu)")


@pytest.mark.slow
def test_what_was_measured_is_not_measured_again(runs, page, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("it is kept already")

    for name in (
        "pixelprior.runs.compared.measure",
        "pixelprior.runs.compared_baselines.pixel_baselines",
        "pixelprior.runs.compared_baselines.tokenizer_baselines",
        "pixelprior.runs.kept_pictures.save_pixels",
    ):
        monkeypatch.setattr(name, refuse)
    # Nor are weights read, but to find that one run has none.
    loaded = []
    monkeypatch.setattr(
        "pixelprior.cli.report.write.load_trained",
        lambda place, **settings: loaded.append(place) or load_trained(place, **settings),
    )
    write_report([runs], tmp_path, split="test", batch_size=64)
    assert (tmp_path / "index.html").read_text() == (page[0] / "index.html").read_text()
    assert loaded == [str(runs / "begun")]


@pytest.mark.slow
def test_results_of_another_training_in_the_same_folder_are_not_used(runs, page, tmp_path):
    folder = shutil.copytree(runs / "digits", tmp_path / "digits")
    kept = gather_kept("digits", load_records(folder), "test")
    assert kept is not None and kept_pictures(load_records(folder)) is not None
    # Another training to the same step has other files of weights.
    (sums,) = folder.glob(f"checkpoints/{load_records(folder).step}/checksums.json")
    sums.write_text(json.dumps({name: 1 for name in json.loads(sums.read_text())}))
    assert gather_kept("digits", load_records(folder), "test") is None
    assert kept_pictures(load_records(folder)) is None


@pytest.mark.slow
def test_records_describe_the_weights_that_are_loaded(runs):
    for name in ("digits", "vqvae", "vqvae2", "prior"):
        light, whole = load_records(runs / name), load_trained(runs / name)
        assert light.model is None
        for key in ("config", "data", "provenance", "step", "tokenizer_config", "place"):
            assert getattr(light, key) == getattr(whole, key)
        assert light.unlearned_levels == whole.unlearned_levels
    assert load_records(runs / "begun") is None
    assert load_records("digits") is None  # a bundled model


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

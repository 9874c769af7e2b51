"""A list of runs trained one after the other, and runs measured side by side."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from pixelprior.cli.compare import compare_runs
from pixelprior.cli.receptive_field import draw_receptive_field
from pixelprior.errors import InputError
from pixelprior.experiment import check_config, complete
from pixelprior.experiment.recipes import load_recipe
from pixelprior.runs.compare import Drawn, places_of_runs
from pixelprior.runs.load import load_trained
from pixelprior.runs.run import Run
from pixelprior.runs.train import train_run
from pixelprior.runs.train_list import train_list
from pixelprior.training.loop import TrainResult
from pixelprior.training.metrics import read_metrics
from tests.shared_runs import once

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "compare.py"
NAMES = ("gated_pixel_cnn", "pixel_cnn")
SMALL_MODEL = {"features": 4, "num_layers": 1, "embedding_features": 4, "head_features": 8}
SMALL = {
    **{"dataset": "digits", "levels": 17, "binarisation": "none", "batch_size": 16},
    **{"num_steps": 2, "warmup_steps": 0, "log_every": 1, "checkpoint_every": 1},
    **{"sample_every": 2, "num_samples": 2},
}


def small(*names, model="gated_pixel_cnn", **changes):
    """The config of a list with these runs on digits, each of the same small model."""
    config = load_recipe("compare")["runs"][model]
    config = config | SMALL | {"model": config["model"] | SMALL_MODEL} | changes
    return {"task": "compare", "runs": {name: dict(config) for name in names}}


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def compared(tmp_path_factory, script):
    """Two runs of the real list, made small by flags, and what the script said."""

    def train(folder):
        changes = SMALL | {f"model.{key}": value for key, value in SMALL_MODEL.items()}
        result = script(
            "train",
            f"--config={CONFIG}",
            f"--workdir={folder / 'compare'}",
            f"--only={','.join(NAMES)}",
            *(
                f"--config.runs.{name}.{key}={value}"
                for name in NAMES
                for key, value in changes.items()
            ),
        )
        assert result.status == 0, result.errors
        assert "Traceback" not in result.errors and not result.output
        (folder / "stderr.txt").write_text(result.errors)

    folder = once(tmp_path_factory, "compared", train)
    return folder / "compare", (folder / "stderr.txt").read_text()


# Training a list.


@pytest.mark.slow
def test_every_run_lies_in_a_folder_of_its_own(compared):
    workdir, words = compared
    assert sorted(p.name for p in workdir.iterdir()) == list(NAMES)
    for number, name in enumerate(NAMES, 1):
        assert f"{name}, run {number} of 2: in {workdir / name}" in words
        trained = load_trained(workdir / name)
        assert trained.config["model"]["name"] == name and trained.step in (1, 2)
        assert read_metrics(workdir / name / "metrics.jsonl")[-1]["step"] == 2


def test_the_start_of_a_run_records_what_its_step_needs(compared):
    for name in NAMES:
        first, second, *_ = read_metrics(compared[0] / name / "metrics.jsonl")
        assert first["step"] == 0 and first["compile_seconds"] > 0
        model = load_trained(compared[0] / name).model
        assert first["num_parameters"] == sum(
            weight.size for weight in jax.tree.leaves(nnx.state(model, nnx.Param))
        )
        # Four copies at least, of four bytes: the weights, their average and Adam's two moments.
        assert first["step_memory_bytes"] > 16 * first["num_parameters"]
        assert "train_bits_per_dim" in second


# train.py, but that the scheduler asks every run to stop, while it takes its first step.
STOPPED = f"""
import runpy, signal

from pixelprior.training.tasks import PixelTask

batches = PixelTask.batches


def interrupted(self, start):
    for number, batch in enumerate(batches(self, start)):
        if number == 0 and self.config["learning_rate"] < 1:
            signal.raise_signal(signal.SIGTERM)
        yield batch


PixelTask.batches = interrupted
runpy.run_path({str(ROOT / "train.py")!r}, run_name="__main__")
"""


@pytest.mark.slow
def test_a_list_that_fails_is_stopped_and_goes_on(tmp_path, script):
    config = small("a_diverges", "b_stops", "c_waits")
    config["runs"]["a_diverges"] |= {"learning_rate": 1e30, "clip_norm": 1e30}
    for run in config["runs"].values():
        # The choice of this number reads a batch before the training begins.
        run["accumulate_steps"] = 1
    (tmp_path / "config.py").write_text(
        "from ml_collections import ConfigDict\n\n\n"
        f"def get_config():\n    return ConfigDict({config!r})\n"
    )
    (tmp_path / "stopped.py").write_text(STOPPED)
    workdir = tmp_path / "list"
    flags = [f"--config={tmp_path / 'config.py'}", f"--workdir={workdir}"]

    result = script(str(tmp_path / "stopped"), *flags)
    assert result.status == 143, result.errors
    assert "warning: a_diverges failed: " in result.errors
    assert "b_stops, run 2 of 3" in result.errors and "SIGTERM: saved step 1" in result.errors
    # It ends the whole list, not only the run.
    assert "c_waits, run" not in result.errors
    assert not (workdir / "c_waits" / "metrics.jsonl").exists()

    result = script("train", *flags)
    assert result.status == 2 and "Traceback" not in result.errors
    assert "resuming at step 1" in result.errors and result.errors.count("done: best step") == 2
    last = result.errors.splitlines()[-1]
    assert last.startswith("error: 1 of 3 runs failed: a_diverges (the ")
    assert not any("test_nats" in r for r in read_metrics(workdir / "a_diverges" / "metrics.jsonl"))

    before = contents(workdir)
    result = script("train", *flags, "--only=c_waits,b_stops")
    assert result.status == 0
    assert result.errors.splitlines() == [
        "b_stops, run 1 of 2: complete, left alone",
        "c_waits, run 2 of 2: complete, left alone",
    ]
    assert contents(workdir) == before


def test_what_is_no_ones_mistake_keeps_its_trace_and_loses_no_other_run(tmp_path, monkeypatch):
    def train(task, config, folder, mesh, **_):
        if folder.path.name == "a":
            raise RuntimeError("out of memory\nand much more")
        trained.append(folder.path.name)
        return result

    trained, events, result = [], [], TrainResult(2, None, None)
    monkeypatch.setattr("pixelprior.runs.train_list.train_in_folder", train)
    with pytest.raises(InputError, match=r"1 of 2 runs failed: a \(out of memory\)\. The others"):
        train_list(small("a", "b"), tmp_path, report=events.append)
    assert trained == ["b"] and any("Traceback" in event.text for event in events)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda runs: runs.clear(), "at least one run"),
        (lambda runs: runs.update({"../c": runs["a"]}), r"letters, digits, .* got '../c'"),
        (lambda runs: runs.update({"b": 3}), "config.runs.b must be the config of a pixel model"),
        (
            lambda runs: runs["b"].update(task="tokenizer"),
            "config.runs.b must be the config of a pixel model",
        ),
        (lambda runs: runs["b"].update(lr=1), "config.runs.b: the config has unknown keys: lr"),
        (
            lambda runs: runs["b"].update(batch_size=0),
            "config.runs.b: config.batch_size must be above 0",
        ),
        (
            lambda runs: runs["b"].update(levels=16),
            "config.runs.b.levels must be as in a, 17, for the two to be compared, got 16",
        ),
        (
            lambda runs: runs["b"].update(model={"name": "pixel_rnn"}),
            "b: config.model.name must be one of",
        ),
        (
            lambda runs: [run.update(dataset="digist") for run in runs.values()],
            "a: .*did you mean .*digits",
        ),
    ],
)
def test_lists_that_cannot_be_trained(tmp_path, change, message):
    config = small("a", "b")
    change(config["runs"])
    with pytest.raises(InputError, match=message):
        train_list(config, tmp_path / "list")
    # All are checked before one is trained.
    assert not list(tmp_path.rglob("metrics.jsonl"))


def test_tuples_and_lists_are_the_same_data():
    config = small("a", "b")
    config["runs"]["b"]["image_size"] = [0, 0]
    check_config(config)


def test_names_that_are_not_in_the_list(tmp_path):
    with pytest.raises(InputError, match="--only names runs .* a, b; got 'c'"):
        train_list(small("a", "b"), tmp_path, only=["a", "c"])
    with pytest.raises(InputError, match="--only must name at least one"):
        train_list(small("a", "b"), tmp_path, only=[])
    assert not any(tmp_path.iterdir())


def test_a_list_is_no_run_and_a_run_is_no_list(tmp_path):
    config = small("a")
    with pytest.raises(InputError, match="for train_list"):
        train_run(config, tmp_path / "run")
    with pytest.raises(InputError, match="only a list of runs .* got 'pixels'"):
        train_list(config["runs"]["a"], tmp_path / "run")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--compare"], "--compare needs run folders"),
        (["--workdir=a", "b"], "arguments are given as --flag=value, got 'b'"),
        ([], "--workdir must be given"),
    ],
)
def test_flags_that_do_not_fit(tmp_path, script, flags, message):
    result = script("evaluate", *flags, cwd=tmp_path)
    assert result.status == 2 and not result.output
    (line,) = result.errors.splitlines()
    assert line.startswith("error: ") and message in line
    assert not any(tmp_path.iterdir())


# Side by side.


def picture(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"), int)


def test_the_table_and_the_figures(compared, tmp_path, script):
    out, results = tmp_path / "new" / "out", tmp_path / "results.json"
    folders = [str(compared[0] / name) for name in reversed(NAMES)]
    result = script("evaluate", "--compare", *folders, f"--out={out}", f"--json={results}")
    assert result.status == 0, result.errors
    assert "Traceback" not in result.errors
    values = json.loads(results.read_text())
    assert values["dataset"] == "digits" and values["split"] == "test"
    runs = values["runs"]
    assert sorted(run["run"] for run in runs) == list(NAMES)
    assert runs[0]["bits_per_dim"] <= runs[1]["bits_per_dim"]
    for run in runs:
        assert run["workdir"] == str(compared[0] / run["run"]) and run["model"] == run["run"]
        records = read_metrics(compared[0] / run["run"] / "metrics.jsonl")
        assert run["nats"] == records[-1]["test_nats"]
        assert run["bits_per_dim"] == records[-1]["test_bits_per_dim"]
        assert run["parameters"] == records[0]["num_parameters"]
        assert run["memory_bytes"] == records[0]["step_memory_bytes"]
        assert run["steps"] == run["num_steps"] == 2 and run["samples_per_second"] > 0
        recorded = [r["validation_nats"] for r in records if "validation_nats" in r]
        assert [point["validation_nats"] for point in run["curve"]] == recorded
    # On standard output and as Markdown, in the same order, the best first.
    title, _, head, *lines = result.output.splitlines()
    assert title == "digits, 17 levels; test split"
    assert head.startswith("run") and [line.split()[0] for line in lines] == [
        run["run"] for run in runs
    ]
    body = (out / "table.md").read_text().splitlines()[2:]
    assert [line.split(" | ")[0] for line in body] == [f"| {run['run']}" for run in runs]
    for line, row in zip(lines, body, strict=True):
        assert line.split() == row.replace("|", " ").split()
    figures = ["bars", "learning_curves", "receptive_fields", "samples"]
    assert sorted(p.name for p in out.iterdir()) == [*(f"{f}.png" for f in figures), "table.md"]
    for name in figures:
        # Something in colours or shades, on white.
        shades = picture(out / f"{name}.png")
        assert (shades == 255).all(axis=-1).mean() > 0.1 and shades.min() < 100


def test_a_folder_of_runs_without_those_that_wait_and_the_other_split(
    compared, tmp_path, capsys, monkeypatch
):
    folder = tmp_path / "list"
    shutil.copytree(compared[0], folder)
    # One is claimed but has no checkpoint yet; the other was stopped before it was tested.
    shutil.rmtree(folder / "gated_pixel_cnn" / "checkpoints")
    path = folder / "pixel_cnn" / "metrics.jsonl"
    *lines, test = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines))
    # Figures and samples have been looked at already.
    monkeypatch.setattr("pixelprior.cli.compare._draw", lambda *_: None)
    drawn = Drawn(np.zeros((16, 8, 8, 1), np.int32), 1.0, None, 17)
    monkeypatch.setattr("pixelprior.cli.compare.draw", lambda _: drawn)
    settings = {"out": tmp_path / "out", "json_file": None, "batch_size": 100}
    (run,) = compare_runs([folder], split="test", **settings)["runs"]
    words = capsys.readouterr().err
    assert f"warning: {folder / 'gated_pixel_cnn'} has no checkpoint yet, and is left out" in words
    assert run["run"] == "pixel_cnn"
    # Measured now, as it was at the end of the run.
    np.testing.assert_allclose(run["nats"], json.loads(test)["test_nats"], rtol=1e-5)
    shutil.rmtree(folder / "pixel_cnn" / "checkpoints")
    with pytest.raises(InputError, match="no run in .* has a checkpoint yet"):
        compare_runs([folder], split="test", **settings)


def test_runs_that_cannot_be_compared(compared, tmp_path):
    ours = compared[0] / "pixel_cnn"

    def refused(message, *folders, **changes):
        settings = {"split": "test", "out": tmp_path / "out", "json_file": None, "batch_size": 64}
        with pytest.raises(InputError, match=message):
            compare_runs(folders, **settings | changes)
        assert not (tmp_path / "out").exists()

    refused("needs run folders")
    refused("nowhere is not a run folder", ours, tmp_path / "nowhere")
    refused("pixel_cnn was given more than once", ours, compared[0])
    other = tmp_path / "other"
    shutil.copytree(ours, other)
    data, config = (json.loads((other / name).read_text()) for name in ("data.json", "config.json"))
    (other / "data.json").write_text(json.dumps(data | {"levels": 16}))
    refused("other and pixel_cnn cannot be compared: the levels", ours, other)
    (other / "config.json").write_text(json.dumps(complete(load_recipe("digits:vqvae"))))
    refused("other is a run of the task 'tokenizer'; only pixel models", ours, other)
    (tmp_path / "file").write_text("here")
    refused("cannot be written .*--out", ours, out=tmp_path / "file" / "out")
    refused("make its folder", ours, json_file=tmp_path / "no" / "x.json")


def test_runs_in_folders_of_one_name_are_told_apart(compared, tmp_path):
    for parent in ("a", "b"):
        shutil.copytree(compared[0] / "pixel_cnn", tmp_path / parent / "run")
    folders = [tmp_path / "a" / "run", tmp_path / "b" / "run", compared[0] / "pixel_cnn"]
    assert list(places_of_runs(folders)) == [*map(str, folders[:2]), "pixel_cnn"]


# The receptive field of one run.


def test_the_receptive_field_of_a_run(compared, tmp_path, script):
    out = tmp_path / "new" / "field.png"
    result = script(
        "evaluate", f"--workdir={compared[0] / 'pixel_cnn'}", f"--receptive_field={out}"
    )
    assert result.status == 0 and not result.output, result.errors
    assert f"receptive field in {out} (averaged weights of step" in result.errors
    assert picture(out).ndim == 3


def test_receptive_fields_that_cannot_be_drawn(compared, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("here")

    def refused(message, run, out):
        with pytest.raises(InputError, match=message):
            draw_receptive_field(run, out, checkpoint="best", averaged=True)
        assert [p.name for p in tmp_path.iterdir()] == ["file"]

    run = compared[0] / "pixel_cnn"
    refused("drawn to a .png file", run, tmp_path / "x.jpg")
    refused("cannot be written", run, tmp_path / "file" / "x.png")
    refused("is not a run folder", compared[0], tmp_path / "x.png")
    tokenizer = Run(object(), {"task": "tokenizer"}, {}, "", 0)
    monkeypatch.setattr("pixelprior.cli.receptive_field.load_trained", lambda *_, **__: tokenizer)
    refused("of the task 'tokenizer'", run, tmp_path / "x.png")

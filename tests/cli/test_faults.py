"""Damaged files of a run: a command goes on without them, or says in one sentence what is wrong."""

import json
import os
import shutil
import stat
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior.cli.compare import compare_runs
from pixelprior.cli.evaluate_run import evaluate_run
from pixelprior.cli.report.write import write_report
from pixelprior.errors import InputError
from pixelprior.runs.load import load_trained
from pixelprior.runs.train import open_task, train_run
from pixelprior.system.devices import data_mesh
from pixelprior.training.checkpoints import Checkpoints
from pixelprior.training.program import make_program
from pixelprior.training.run_folder import RunFolder
from tests.cli.calls import draw_files
from tests.cli.conftest import copied
from tests.release import slow_cases


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def as_folder(path):
    path.unlink()
    (path / "inner").mkdir(parents=True)


def as_pipe(path):
    path.unlink()
    os.mkfifo(path)


def rewritten(content):
    return lambda path: path.write_bytes(content)


FAULTS = {
    "missing": remove,
    "empty": rewritten(b""),
    "half of it": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "garbage": rewritten(b"\x89\xff\x00garbage" * 9),
    "NULs": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "{}": rewritten(b"{}"),
    "[1, 2]": rewritten(b"[1, 2]"),
    "null": rewritten(b"null"),
    "a number": rewritten(b"7"),
    "a string": rewritten(b'"run"'),
    "NaN": rewritten(b'{"seed": NaN}'),
    "lists in lists": rewritten(b"[" * 10**5),
    "a folder": as_folder,
    "a pipe": as_pipe,
}


def outcome(call):
    """What a call says if it refuses; None if it succeeds. Other errors are bugs."""
    try:
        call()
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 800
        return str(error)
    return None


def edited(path, keys, value):
    """Replace a value in a JSON file, or remove it if the value is ``...``."""
    content = inner = json.loads(path.read_text())
    *outer, last = keys
    for key in outer:
        inner = inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    path.write_text(json.dumps(content))


def load(folder):
    return load_trained(folder, report=lambda event: None)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["config.json", "data.json", "metrics.jsonl"])
def test_a_damaged_file_and_loading(digits, tmp_path, name, fault):
    run = copied(digits, tmp_path)
    FAULTS[fault](run / name)
    said = outcome(lambda: load(run).metrics)
    # The records are no part of the weights.
    assert (said is None) == (name == "metrics.jsonl" and fault != "a pipe")
    assert said is None or str(run) in said and name in said


BAD = {
    "config.json": [
        (["task"], [1], "names the task [1], which this version does not support"),
        (["task"], "dance", "names the task 'dance'"),
        (["seed"], "0", "config.seed must be of type int, got '0'"),
        (["seed"], ..., "has no value for: seed"),
        (["speed"], 3, "unknown keys: speed"),
        (["learning_rate"], None, "config.learning_rate must be of type float"),
        (["model"], [1, 2], "config.model must be of type dict"),
        (["model", "name"], ["gated_pixel_cnn"], "config.model.name must be one of"),
        (["model", "features"], 10**30, "config.model.features must be an integer of at most"),
        (["model", "features"], 2**20, "there, and (1, 2, 3, 1048576, 2097152) by the config"),
        (["model", "width"], 3, "has no setting 'width'"),
        (["levels"], 16, "the levels must be 16, got 17"),
        (["image_size"], [9, 9], "the height and width must be [9, 9], got [8, 8]"),
        (["class_conditional"], False, "by the config; restore config.json"),
    ],
    "data.json": [
        (["shape"], [10**5, 10**5, 1], "shape[0] must be an integer of at least 1 and at most"),
        (["shape"], [2**16, 2**16, 1], "shape must have at most 67,108,864 symbols"),
        (["shape"], [-8, 8, 1], "shape[0] must be an integer of at least 1"),
        (["shape"], [8, 8], "shape must be a list of 3 values, got [8, 8]"),
        (["shape"], "8x8", "shape must be a list of 3 values, got '8x8'"),
        (["shape", 2], None, "shape[2] must be an integer"),
        (["shape", 2], True, "shape[2] must be an integer"),
        (["levels"], 0, "levels must be an integer of at least 2"),
        (["levels"], 10**9, "levels must be an integer of at least 2 and at most 256"),
        (["levels"], 16, "the levels must be 17, got 16"),
        (["class_names"], "ab", "class_names must be a list, got 'ab'"),
        (["class_names", 3], 3, "class_names[3] must be a string, got 3"),
        (["class_names"], [], "restore config.json"),
        (["class_names"], ..., "has no value for: class_names"),
        (["splits", "train", "images"], "many", "splits.train.images must be an integer"),
        (["splits", "test"], ..., "splits.test is missing"),
        (["symbols"], [], "symbols must be an object with keys, got []"),
        (["note"], 1.5, "note must be a string, got 1.5"),
        (["reading"], 99, "reading must be an integer of at least 1 and at most 2, got 99"),
    ],
}


@pytest.mark.parametrize(
    ("name", "keys", "value", "message"), [(name, *bad) for name in BAD for bad in BAD[name]]
)
def test_a_value_that_does_not_fit(digits, tmp_path, name, keys, value, message):
    run = copied(digits, tmp_path)
    edited(run / name, keys, value)
    assert message in outcome(lambda: load(run))


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["code_grids"], [[4, 4, 1]], "code_grids[0] must be a list of 4 values"),
        (["code_grids", 0, 3], 10**9, "must be an integer of at least 1 and at most 65536"),
        (["code_grids", 0, 0], 3, "are not those of the tokenizer in"),
        (["code_counts"], [[[1, 2]]], "the numbers of codes must be [[8]], got [[2]]"),
        (["learned_levels"], [1], "learned_levels[0] must be a string"),
        (["pixel_variance"], "much", "pixel_variance must be a finite number"),
        (["tokenizer"], ..., "has no value for: tokenizer"),
    ],
)
def test_a_value_of_a_prior_that_does_not_fit(prior, tmp_path, keys, value, message):
    run = copied(prior, tmp_path)
    edited(run / "data.json", keys, value)
    assert message in outcome(lambda: load(run))


def test_training_goes_on_after_its_config_is_mended(digits, tmp_path):
    run, config = copied(digits, tmp_path), dict(load(digits).config)
    for name, keys in (("config.json", ["seed"]), ("data.json", ["shape"])):
        before = (run / name).read_bytes()
        edited(run / name, keys, "x")
        assert f"{run / name} does not fit" in outcome(lambda: train_run(config, run))
        (run / name).write_bytes(before)
    with open(run / "metrics.jsonl", "a") as records:
        records.write("garbage\n")
    events = []
    assert train_run(config, run, report=events.append).step == config["num_steps"]
    assert sum("1 damaged line(s) of" in str(event) for event in events) == 1
    assert (run / "damaged_metrics.jsonl").read_text() == "garbage\n"


def test_weights_that_are_not_finite(digits, tmp_path):
    run = copied(digits, tmp_path)
    folder, mesh = RunFolder(run), data_mesh()
    config = folder.config()
    task, _ = open_task(config, folder, mesh)
    graph, shapes = nnx.split(nnx.eval_shape(task.make))
    like = make_program(task, config, graph, shapes, mesh).state
    with Checkpoints(folder.checkpoints, warn=print) as checkpoints:
        state = checkpoints.restore_latest(like)
        spoilt = jax.tree.map(lambda x: x.at[..., -1].set(jnp.nan), state.averaged)
        step = jnp.asarray(7, jnp.int32)
        checkpoints.save(state._replace(step=step, averaged=spoilt))
        checkpoints.rate(7, 1.0)
    for call in (
        lambda: load(run),
        lambda: draw_files(run, tmp_path / "out"),
        lambda: evaluate_run(run, baselines=False),
    ):
        said = outcome(call)
        assert f"the weights of step 7 in {run / 'checkpoints'} are not finite (blocks" in said
        assert "use --checkpoint=latest" in said
    assert load_trained(run, averaged=False).step == 7


needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user"
)


@needs_root
@pytest.mark.parametrize(
    "name",
    ["checkpoints", "checkpoints/6", "checkpoints/6/metrics/metrics", "checkpoints/6/weights"],
)
def test_checkpoints_of_another_owner(digits, name):
    # Imports everything first, because another user may not read the packages.
    assert load(digits).metrics
    with tempfile.TemporaryDirectory() as open_to_all:
        os.chmod(open_to_all, 0o755)
        run = copied(digits, Path(open_to_all))
        for path in (run, *run.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        (run / name).chmod(0o700)
        before = sorted(run.rglob("*"))
        os.seteuid(65534)
        try:
            said = outcome(lambda: load(run))
        finally:
            os.seteuid(0)
        assert f"{run / name} cannot be read: permission denied" in said
        assert "stay as they are" in said and sorted(run.rglob("*")) == before


@pytest.mark.skipif(os.name == "nt", reason="names follow other rules there")
@pytest.mark.parametrize("name", ["back\\slash", "no\udcffUTF-8"])
def test_a_path_that_checkpoints_cannot_have(digits, tmp_path, name):
    run = shutil.copytree(digits, tmp_path / name)
    said = outcome(lambda: load(run))
    assert "checkpoints need a path of UTF-8 without backslashes" in said and said.isprintable()


# Results that are kept for reports.


@pytest.fixture(scope="module")
def reported(digits, tmp_path_factory):
    """A run with results and pictures from an earlier report: not to be changed."""
    folder = tmp_path_factory.mktemp("reported")
    run = copied(digits, folder)
    write_report([run], folder / "report", split="test", batch_size=64)
    return run


def page_of(run, folder):
    result = write_report([run], folder / "report", split="test", batch_size=64)
    assert result["left_out"] == {}
    return (folder / "report" / "index.html").read_text(), result["groups"][0][0]


# All faults of such a file are in the tests of loading.
KEPT_FAULTS = {
    **{name: FAULTS[name] for name in ("missing", "half of it", "[1, 2]", "NaN", "a pipe")},
    "no nats": lambda path: edited(path, ["nats"], ...),
    "nats in words": lambda path: edited(path, ["nats"], "few"),
    "nats of NaN": lambda path: edited(path, ["nats"], float("nan")),
    "no number of images": lambda path: edited(path, ["num_images"], ...),
    "no split": lambda path: edited(path, ["split"], ...),
    "a note of another type": lambda path: edited(path, ["note"], [1]),
}


@pytest.mark.parametrize("fault", slow_cases(KEPT_FAULTS, "half of it", "no nats", "nats of NaN"))
def test_a_damaged_result_is_measured_again(reported, tmp_path, fault):
    run = copied(reported, tmp_path)
    before = json.loads((run / "evaluation" / "test.json").read_text())
    KEPT_FAULTS[fault](run / "evaluation" / "test.json")
    _, result = page_of(run, tmp_path)
    np.testing.assert_allclose(result["measured"]["nats"], before["nats"], rtol=1e-6)
    # Another test may have measured baselines of this run too.
    after = json.loads((run / "evaluation" / "test.json").read_text())
    assert after.keys() | {"baselines"} == before.keys() | {"baselines"}


def test_damaged_results_that_are_not_measured_again_are_named(reported, tmp_path, capsys):
    run = copied(reported, tmp_path)
    for name in ("test_samples", "cost"):
        (run / "evaluation" / f"{name}.json").write_text('{"format": 1, "weights": 3}')
    _, result = page_of(run, tmp_path)
    assert result["samples"] is None and result["cost"] is None
    told = capsys.readouterr().err
    assert "test_samples.json is damaged and not used (weights must be a string, got 3)" in told
    assert "cost.json is damaged and not used (workdir is missing)" in told


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_report_holds_no_file_behind_a_link(reported, tmp_path):
    secret = tmp_path / "secret.png"
    shutil.copy(reported / "samples" / "step_0000006.png", secret)  # a PNG file, but another's
    own = (reported / "evaluation" / "sample.png").read_bytes()
    run = copied(reported, tmp_path)
    for name, target in (("sample.png", secret), ("real.png", Path("/etc/hosts"))):
        (run / "evaluation" / name).unlink()
        (run / "evaluation" / name).symlink_to(target)
    (run / "evaluation" / "likelihood.png").write_bytes(b"<script>no picture</script>")
    before = secret.read_bytes()
    page_of(run, tmp_path)
    # They are drawn again, in place of the links.
    for name in ("sample.png", "real.png", "likelihood.png"):
        path = run / "evaluation" / name
        assert stat.S_ISREG(path.lstat().st_mode)
        assert path.read_bytes() == (reported / "evaluation" / name).read_bytes()
    assert secret.read_bytes() == before != own
    # A folder behind a link.
    (run / "evaluation").rename(tmp_path / "elsewhere")
    (run / "evaluation").symlink_to(tmp_path / "elsewhere")
    result = write_report([run], tmp_path / "report", split="test", batch_size=64)
    assert "is a link, and no pictures are read through links" in result["left_out"]["run"]
    assert "base64" not in (tmp_path / "report" / "index.html").read_text()


def test_names_with_control_characters(reported, tmp_path, capsys):
    name = "a\x1b[2J\u202eb|$frac_{$<b>"
    run = Path(shutil.copytree(reported, tmp_path / name))
    edited(run / "data.json", ["note"], "first\nsecond \x1b]0;title\x07")
    (run / "metrics.jsonl").write_text("")  # no curve either
    shutil.rmtree(run / "evaluation")
    evaluate_run(run, baselines=False)
    compare_runs([run], split="test", out=tmp_path / "compare", json_file=None, batch_size=64)
    page, _ = page_of(run, tmp_path)
    told = capsys.readouterr()
    for text in (told.out, told.err, page, (tmp_path / "compare" / "table.md").read_text()):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert r"a\x1b[2J\u202eb|$frac_{$<b>" in told.out
    assert r"a\x1b[2J\u202eb|$frac_{$&lt;b&gt;" in page and "<b>" not in page
    # The table still has its own lines.
    assert len(told.out.splitlines()) > 6


# Every file of a run, for every command.

COMMANDS = {
    "load": lambda run, out: load(run).metrics,
    "sample": lambda run, out: draw_files(run, out / "samples"),
    "evaluate": lambda run, out: evaluate_run(run, baselines=False),
    "report": lambda run, out: write_report([run], out / "report", split="test", batch_size=64),
    "train": lambda run, out: train_run(CONFIG_OF[run], run, report=lambda event: None),
}
CONFIG_OF = {}


@pytest.mark.parametrize("command", slow_cases(COMMANDS, "load", "sample", "train"))
def test_every_file_of_a_run(reported, tmp_path, command):
    config = dict(load(reported).config)
    # Each command meets each file with one of the faults, another one than the command before.
    faults = ("missing", "garbage", "a folder")
    names = sorted(path.relative_to(reported) for path in reported.rglob("*"))
    for number, name in enumerate(names, list(COMMANDS).index(command)):
        # The files of other checkpoints, and of other weights, are read in the same way.
        if (reported / name).is_dir() or {"3", "weights", "optimizer"} & {*name.parts}:
            continue
        run = copied(reported, tmp_path)
        CONFIG_OF[run] = config
        FAULTS[faults[number % len(faults)]](run / name)
        try:
            outcome(lambda: COMMANDS[command](run, tmp_path))  # noqa: B023
        except Exception as error:
            raise AssertionError(f"{name}: {error!r}") from error
        for path in tmp_path.iterdir():
            shutil.rmtree(path)

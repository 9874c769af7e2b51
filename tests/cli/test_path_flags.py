"""A path may begin with ``~``, in each flag that is a path."""

import importlib

import pytest

from pixelprior.system.home import expand_home
from pixelprior.training.run_folder import RunFolder
from tests.cli.calls import assert_one_sentence
from tests.cli.conftest import ROOT

PATHS = {
    "train": ["workdir", "tokenizer", "prior"],
    "sample": ["workdir", "out", "known", "images", "data_dir"],
    "evaluate": [
        *("workdir", "json", "per_image", "samples", "inception_weights"),
        *("receptive_field", "report", "out"),
    ],
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_the_home_folder(home):
    assert expand_home("~/x") == f"{home}/x"
    assert expand_home("folder:~/x") == f"folder:{home}/x"
    for path in ("", "top", "mnist:3.0.1", "a/~/b", "folder:a"):
        assert expand_home(path) == path


@pytest.mark.parametrize("name", PATHS)
def test_flags(name, home):
    flags = importlib.import_module(f"pixelprior.cli.{name}").FLAGS
    given = [f"--{path}=~/x" for path in PATHS[name]]
    flags.parse([name, *given, *(["--config=digits"] if name == "train" else [])])
    assert [flags[path].value for path in PATHS[name]] == [f"{home}/x"] * len(PATHS[name])


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("evaluate", ["--compare", "~/nowhere"], "{home}/nowhere is not a run folder"),
        ("train", ["--config=~/mine.py:a"], "the recipe has no variant 'a'"),
        ("train", ["--config", "~/mine.py:a"], "the recipe has no variant 'a'"),
    ],
)
def test_other_arguments(home, warm_start, name, flags, message):
    (home / "mine.py").write_text((ROOT / "configs" / "digits.py").read_text())
    said = warm_start.run(ROOT / f"{name}.py", *flags, cwd=home, HOME=str(home))
    assert_one_sentence(said, message.format(home=home))


def test_python(home):
    assert RunFolder("~/run").path == home / "run"

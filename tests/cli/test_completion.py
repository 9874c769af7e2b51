"""Completion: commands, flags, values, recipes, runs and paths; in the shells that are there."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest

from pixelprior.cli.candidates import answer, candidates
from pixelprior.cli.commands import COMMANDS
from pixelprior.cli.completion import SHELLS
from pixelprior.experiment.recipes import all_variants
from pixelprior.runs.bundled import bundled_models
from tests.cli.conftest import ROOT


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder: runs, files and other folders."""
    for run in ("runs/digits", "runs/my faces", "alone"):
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "config.json").write_text("{}")
    (tmp_path / "runs" / "list").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("a.safetensors", "mine.py", "table.json", "runs/list/x.png"):
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def texts(*words):
    return [text for text, _ in candidates(words)]


def test_commands():
    assert texts("") == [*COMMANDS] and texts() == [*COMMANDS]
    assert texts("co") == ["configs", "compress", "completion"]
    assert texts("-") == ["--help", "--version"]
    assert texts("help", "tr") == ["train"]
    assert texts("completion", "") == [*SHELLS]
    assert texts("no_such_command", "--") == []


def test_flags():
    assert "--workdir=" in texts("sample", "") and "--workdir=" in texts("sample", "--w")
    # A switch is offered in the form that changes something.
    assert texts("sample", "--gr") == ["--greedy"] and texts("sample", "--nogr") == ["--nogrid"]
    # Those that are given are not offered again.
    assert texts("sample", "--nogrid", "--workdir=x", "--no") == ["--noaveraged"]
    assert "--workdir=" not in texts("sample", "--workdir=x", "")
    assert dict(candidates(["export", "--over"])) == {"--overwrite": "Replace files that exist"}


def test_values(folder):
    assert texts("sample", "--mode=s") == ["--mode=sample", "--mode=sweep"]
    assert texts("sample", "--mode", "s") == ["sample", "sweep"]
    assert texts("sample", "--seed=") == [] and texts("sample", "--no_such_flag=") == []
    assert texts("sample", "--greedy", "s") == []  # no file begins so


def test_recipes(folder):
    assert texts("train", "--config=digits:vqvae2") == ["--config=digits:vqvae2"]
    assert texts("train", "--config=") == [f"--config={name}" for name in all_variants()]
    assert texts("train", "--config", "mnist:be") == ["mnist:best"]
    assert texts("train", "--config=mi") == ["--config=mine.py"]
    assert texts("train", "--config=runs/l") == ["--config=runs/list/"]


def test_keys_of_a_recipe(folder):
    for given in (["--config=digits:prior"], ["--config", "digits:prior"]):
        found = dict(candidates(["train", *given, "--config.models.top.na"]))
        assert found == {"--config.models.top.name=": "now 'gated_pixel_cnn'"}
    # A file of the user is not run.
    (folder / "mine.py").write_text("raise SystemExit")
    assert texts("train", "--config=mine.py", "--config.") == []
    assert texts("train", "--config.") == []


def test_runs(folder):
    models = [*bundled_models()]
    # A run ends, and other folders go on.
    found = ["alone", "runs/"]
    assert texts("train", "--workdir=") == [f"--workdir={name}" for name in found]
    found = [*models, "a.safetensors", *found]
    assert sorted(texts("sample", "--workdir=")) == sorted(f"--workdir={name}" for name in found)
    assert texts("train", "--init_from=di") == ["--init_from=digits"]
    inside = ["runs/digits", "runs/list/", "runs/my faces"]
    assert texts("sample", "--workdir", "runs/") == inside
    assert texts("evaluate", "--compare", "runs/") == inside
    assert texts("sample", "--workdir=~/runs/d") == ["--workdir=~/runs/digits"]


def test_paths(folder):
    assert texts("evaluate", "--json=") == [
        f"--json={name}" for name in ("a.safetensors", "alone/", "mine.py", "runs/", "table.json")
    ]
    assert texts("evaluate", "--json=.h") == ["--json=.hidden/"]
    assert texts("evaluate", "--json=no/such/") == []
    assert texts("compress", "-o", "runs/list/") == ["runs/list/x.png"]


def test_a_name_that_a_terminal_cannot_show_is_left_out(folder):
    (folder / "runs" / "di\x1b[2J\n").mkdir()
    assert texts("sample", "--workdir=runs/di") == ["--workdir=runs/digits"]


def test_the_answer_is_lines():
    assert answer(["export", "--dtype=b"]) == "--dtype=bfloat16\t\n"


@pytest.fixture
def program(folder):
    """The program, as it is installed."""
    path = folder / "bin" / "pixelprior"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m pixelprior "$@"\n')
    path.chmod(0o755)
    return path


def shell(name, text):
    """The lines that a shell prints for some commands."""
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    ended = subprocess.run(
        [name, *(["--norc"] if name == "bash" else []), "-c", text],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0 and not ended.stderr, ended.stderr
    return ended.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "replies"),
    [
        (["tr"], ["train "]),
        (["train", "--conf"], ["--config="]),
        (["train", "--config", "=", "digits", ":", "vq"], ["vqvae ", "vqvae2 "]),
        (["train", "--config", "=", "digits", ":"], ["pixel_snail ", "vqvae ", "vqvae2 "]),
        (["train", "--config", "=", "digits", ":", "pixel_s"], ["pixel_snail "]),
        (["train", "--config", "mnist", ":", "best"], ["best "]),
        (["train", "--config", "=", "digits", "--config.see"], ["--config.seed="]),
        (["sample", "--mode", "="], ["complete ", "sample "]),
        (["sample", "--workdir", "=", "runs/"], ["runs/digits ", "runs/list/", r"runs/my\ faces "]),
        (["sample", "--workdir", "=", r"runs/my\ f"], [r"runs/my\ faces "]),
        (["sample", "--workdir", "=", '"runs/my f'], ["runs/my faces"]),
        (["sample", "--workdir", "=", "'runs/my f"], ["runs/my faces"]),
        (["sample", "--workdir", "=", "~/runs/d"], ["~/runs/digits "]),
        (["sample", "--workdir", "=", "mni"], ["mnist "]),
        (["sample", "--seed", "=", ""], []),
    ],
)
def test_bash(program, words, replies):
    quoted = " ".join(map(shlex.quote, [str(program), *words]))
    text = f"""
source <({shlex.quote(str(program))} completion bash)
COMP_WORDS=({quoted})
COMP_CWORD={len(words)}
complete -p pixelprior >/dev/null && _pixelprior
[[ ${{#COMPREPLY[@]}} = 0 ]] || printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    found = shell("bash", text)
    if len(found) > 10 or words[-1] in ("=", ":"):  # a long list
        assert set(replies) <= set(found)
    else:
        assert found == replies


@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("tr", ["train\ttrain a model, a tokenizer or a prior, or resume one"]),
        (
            "train --config=digits:vqvae",
            [
                "--config=digits:vqvae\tVQ-VAE: 8x8 images to 4x4 codes",
                "--config=digits:vqvae2\tVQ-VAE-2: to 2x2 and 4x4 codes",
            ],
        ),
        ("sample --workdir=runs/d", ["--workdir=runs/digits"]),
        ("sample --mode sw", ["sweep"]),
    ],
)
def test_fish(program, line, replies):
    text = f"{shlex.quote(str(program))} completion fish | source\n"
    text += f"set PATH {shlex.quote(str(program.parent))} $PATH\n"
    assert shell("fish", f"{text}complete -C {shlex.quote(f'pixelprior {line}')}") == replies


@pytest.mark.parametrize("name", SHELLS)
def test_the_scripts_say_how_to_load_them(name, program):
    lines = shell("bash", f"{shlex.quote(str(program))} completion {name}")
    load = {"fish": "pixelprior completion fish | source"}
    assert lines[0].startswith("# Completion for pixelprior. To load it")
    assert lines[0].endswith(load.get(name, f"source <(pixelprior completion {name})"))
    # They hold no names of commands or flags.
    text = "\n".join(lines[1:])
    assert not [word for word in (*COMMANDS, "--config", "--workdir") if word in text]

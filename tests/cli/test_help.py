"""Help: every flag of a command is listed once, with an example; commands are suggested."""

import importlib
import re
import sys

import pytest

from pixelprior.__main__ import main
from pixelprior.cli.flags import Flags
from pixelprior.cli.help import help_text

# Longer than a newcomer reads to its end.
MOST_LINES = 120


@pytest.mark.parametrize("name", ["train", "sample", "evaluate", "export"])
def test_every_flag_of_a_command_is_listed_once(name, script):
    said = script(name, "--help")
    assert said.status == 0 and not said.errors
    assert len(said.output.splitlines()) < MOST_LINES
    listed = re.findall(r"^  --(?:\[no\])?(\w+)", said.output, flags=re.MULTILINE)
    own = importlib.import_module(f"pixelprior.cli.{name}").FLAGS
    assert sorted(listed) == sorted(own)
    for flag in listed:
        # A switch, or a flag with an example value; then at least one line of words.
        assert re.search(rf"^  --(\[no\]{flag}|{flag}=\S+)\n {{6}}\w", said.output, re.MULTILINE)


@pytest.mark.parametrize(
    ("called", "example"),
    [
        ("train.py", "python train.py --config=configs/digits.py:prior"),
        ("pixelprior train", "pixelprior train --config=digits:prior"),
    ],
)
def test_examples_are_those_of_the_program_that_was_called(monkeypatch, called, example):
    monkeypatch.setattr(sys, "argv", [called, "--help"])
    said = help_text("Train.\n\npython train.py --config=configs/digits.py:prior\n", Flags(), {})
    assert example in said.splitlines()


@pytest.mark.parametrize(
    ("name", "flag"), [("train", "config"), ("sample", "workdir"), ("export", "out")]
)
def test_a_required_flag_that_is_missing_is_named(script, name, flag):
    said = script(name)
    assert said.status == 2 and not said.output
    assert said.errors == f"error: --{flag} must be given; --help has an example of each flag\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--workdir=x", "--config.num_steps=3"],
        ["--workdir=x", "--config.num_steps", "3"],
        ["--config.num_steps=3", "--config=digits", "--workdir=x"],
    ],
)
def test_a_key_of_no_config_is_explained(script, arguments):
    said = script("train", *arguments)
    assert said.status == 2
    assert said.errors == (
        "error: --config.num_steps changes a config; give its recipe or file with --config before "
        "it\n"
    )


def test_a_config_is_given_once(script):
    said = script(
        "train", "--config=digits", "--config=mnist", "--config.num_steps=3", "--workdir=x"
    )
    assert said.status == 2
    assert said.errors == "error: --config is given more than once; give one recipe or file\n"


def test_without_a_command_it_says_what_there_is(monkeypatch, capsys):
    for arguments in ([], ["--help"], ["help"]):
        monkeypatch.setattr(sys, "argv", ["pixelprior", *arguments])
        main()
        said = capsys.readouterr().out
        for name in ("configs", "train", "sample", "evaluate", "export"):
            assert re.search(rf"^  pixelprior {name}  ", said, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("trian", "there is no command 'trian'; did you mean train?"),
        ("evaluation", "did you mean evaluate?"),
        ("help-me", "there is no command 'help-me'; use train"),
        (
            "draw",
            "there is no command 'draw'; use train, sample, evaluate, export, compress, "
            "decompress or configs",
        ),
    ],
)
def test_a_wrong_command_suggests_one(monkeypatch, capsys, name, words):
    monkeypatch.setattr(sys, "argv", ["pixelprior", name, "--workdir=runs/digits"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code == 2 and not said.out
    assert words in said.err and len(said.err.splitlines()) == 1

"""Help: every flag of a command is listed once, with an example; commands are suggested."""

import importlib
import io
import itertools
import re
import sys

import pytest

from pixelprior import __version__
from pixelprior.__main__ import main
from pixelprior.cli.commands import COMMANDS
from pixelprior.cli.flags import Flags
from pixelprior.cli.help import help_text, terminal_width

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
        ("/some folder/train.py", "python train.py --config=configs/digits.py:prior"),
        ("pixelprior train", "pixelprior train --config=digits:prior"),
        ("python -m pixelprior train", "python -m pixelprior train --config=digits:prior"),
    ],
)
def test_examples_are_those_of_the_program_that_was_called(called, example):
    about = "Train.\n\npython train.py --config=configs/digits.py:prior\n"
    assert example in help_text(about, called, Flags(), {}, width=80).splitlines()


@pytest.mark.parametrize("width", [40, 80, 88])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_into_the_terminal(name, width):
    module = importlib.import_module(f"pixelprior.cli.{name}")
    said = help_text(
        module.__doc__, f"pixelprior {name}", module.FLAGS, module.FLAG_GROUPS, width=width
    )
    # A word is never broken.
    for line in said.splitlines():
        assert len(line) <= width or len(line.split()) <= 3, line
    # A command of several lines can be copied.
    for line, following in itertools.pairwise(said.splitlines()):
        assert line.endswith(" \\") == (following.startswith("    ") and following[4] != " ")


@pytest.mark.parametrize(("columns", "width"), [("20", 40), ("60", 60), ("200", 88), ("", 80)])
def test_width_of_the_terminal(monkeypatch, columns, width):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys, "__stdout__", io.StringIO())
    assert terminal_width() == width


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


def pixelprior(monkeypatch, capsys, *arguments, program="/usr/bin/pixelprior"):
    """The status, the output and the errors of the program."""
    monkeypatch.setattr(sys, "argv", [program, *arguments])
    try:
        main()
        status = 0
    except SystemExit as ended:
        status = ended.code
    said = capsys.readouterr()
    return status, said.out, said.err


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_the_commands(monkeypatch, capsys, arguments):
    status, output, errors = pixelprior(monkeypatch, capsys, *arguments)
    assert status == 0 and not errors
    for name, about in COMMANDS.items():
        assert re.search(rf"^  {name} +{about}$", output, flags=re.MULTILINE)
    assert "  pixelprior train --config=digits --workdir=runs/digits\n" in output
    assert max(map(len, output.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_each_way_to_the_help_of_a_command(monkeypatch, capsys, name):
    ways = [["help", name], ["--help", name], ["-h", name], [name, "--help"], [name, "-h"]]
    said = [pixelprior(monkeypatch, capsys, *way) for way in ways]
    assert all(each == said[0] for each in said)
    status, output, errors = said[0]
    assert status == 0 and not errors and f"pixelprior {name}" in output


def test_a_module_that_is_run_has_examples_that_run_it(monkeypatch, capsys):
    module = "/lib/pixelprior/__main__.py"
    said = pixelprior(monkeypatch, capsys, "train", "-h", program=module)[1]
    assert "\npython -m pixelprior train --config=digits --workdir=runs/digits" in said
    said = pixelprior(monkeypatch, capsys, program=module)[1]
    assert "  python -m pixelprior train --config=digits --workdir=runs/digits\n" in said


def test_the_version(monkeypatch, capsys):
    said = pixelprior(monkeypatch, capsys, "--version")
    assert said == (0, f"pixelprior {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian", "--workdir=x"], "there is no command 'trian'; did you mean train?"),
        (["evaluation"], "there is no command 'evaluation'; did you mean evaluate?"),
        (["draw"], f"there is no command 'draw'; use one of {', '.join(COMMANDS)}"),
        (["help", "trian"], "help takes the name of one command, got 'trian'; did you mean train?"),
        (
            ["help", "train", "sample"],
            "help takes the name of one command, got 'train sample'; did you mean train?",
        ),
        (
            ["--workdir=x", "sample"],
            "flags follow a command, got '--workdir=x' before one; see pixelprior --help",
        ),
        (["configs", "digits"], "configs takes no arguments, got 'digits'"),
        (["configs", "--digits"], "there is no flag --digits; --help lists the flags"),
        (["sample", "--workdri=x"], "there is no flag --workdri; did you mean --workdir?"),
        (
            ["completion", "tcsh"],
            "completion takes one shell of bash, zsh, fish, got tcsh; as in source <(pixelprior "
            "completion bash)",
        ),
    ],
)
def test_a_wrong_use_is_one_sentence_with_a_hint(monkeypatch, capsys, arguments, message):
    assert pixelprior(monkeypatch, capsys, *arguments) == (2, "", f"error: {message}\n")

"""The command line that a run records."""

import shlex

from pixelprior.system.command import command, in_command


def test_a_command_can_be_typed_again():
    arguments = ["--workdir=runs/a b", "--config.note=it's"]
    with in_command(["/home/someone/train.py", *arguments]):
        assert shlex.split(command()) == ["python", "train.py", *arguments]
    with in_command(["pixelprior train", "--config=digits"]):
        assert command() == "pixelprior train --config=digits"
    with in_command(["train.py"]):
        assert command() == "python train.py"


def test_other_programs_have_none():
    assert command() == ""
    with in_command(["train.py", "--a"]), in_command(["evaluate.py"]):
        assert command() == "python evaluate.py"
    assert command() == ""

"""Table of the commands of ``pixelprior``. Each command is a module of this folder."""

import importlib
import sys
from typing import NoReturn

COMMANDS = {
    "configs": "list the recipes, their variants and their results",
    "train": "train a model, a tokenizer or a prior, or resume one",
    "sample": "draw images from a run, or complete and reconstruct images",
    "evaluate": "measure a run, or compare several",
    "export": "write a run to one file",
    "compress": "compress images without loss",
    "decompress": "restore compressed images",
    "demo": "open a page with samples of all runs in the browser",
    "completion": "print a script that completes commands and flags",
}
"""Summary of each command, in the order of the help."""


def run_command(program: str, name: str, arguments: list[str]) -> NoReturn:
    """Run a command with these arguments, and exit the process.

    Args:
        program: the program as the user started it, for the examples of the help.
        name: the name of the command.
        arguments: the arguments that follow the name.
    """
    sys.argv = [f"{program} {name}", *arguments]
    importlib.import_module(f"pixelprior.cli.{name}").run()
    raise AssertionError("a command exits the process")

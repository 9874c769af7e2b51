"""The program ``pixelprior``: help, its version, and the command that the user names."""

import difflib
import sys
import textwrap
from pathlib import Path

from pixelprior import __version__
from pixelprior.cli.closed_output import ending_with_reader
from pixelprior.cli.commands import COMMANDS, run_command
from pixelprior.cli.failure import fail, interrupted
from pixelprior.cli.help import terminal_width

ABOUT = """\
Exact autoregressive models of images and of VQ-VAE codes.

{program} COMMAND [--flag=value ...]

{commands}

For a first picture, from a model that comes with the package:

  {program} sample --workdir=mnist --out=samples.png

For a model of your own:

  {program} train --config=digits --workdir=runs/digits
  {program} sample --workdir=runs/digits --out=samples.png

The flags of a command, and the version:

  {program} train --help
  {program} --version
"""


def main() -> None:
    """Print the help or the version, or run a command."""
    try:
        _main()
    # While the modules of a command are imported. Later, the command itself reports it.
    except KeyboardInterrupt:
        interrupted()


def _main() -> None:
    program = "python -m pixelprior" if Path(sys.argv[0]).name == "__main__.py" else "pixelprior"
    with ending_with_reader():
        match sys.argv[1:]:
            case [] | ["--help" | "-h" | "help"] | ["help", "help" | "--help" | "-h"]:
                print(_about(program), end="", flush=True)
            case ["--version"]:
                print(f"pixelprior {__version__}", flush=True)
            case ["--help" | "-h" | "help", name] if name in COMMANDS:
                run_command(program, name, ["--help"])
            case ["--help" | "-h" | "help", *names]:
                fail(f"help takes the name of one command, got {' '.join(names)!r}; {_hint(names)}")
            case ["__complete", *words]:
                # Imported here, since only the scripts of `pixelprior completion` need it.
                from pixelprior.cli.candidates import answer

                print(answer(words), end="", flush=True)
            case [name, *arguments] if name in COMMANDS:
                run_command(program, name, arguments)
            case [name, *_] if name.startswith("-"):
                fail(f"flags follow a command, got {name!r} before one; see {program} --help")
            case [name, *_]:
                fail(f"there is no command {name!r}; {_hint([name])}")


def _about(program: str) -> str:
    column = max(map(len, COMMANDS)) + len("    ")
    width, indent = terminal_width(), " " * column
    commands = [
        textwrap.fill(f"  {name}".ljust(column) + about, width, subsequent_indent=indent)
        for name, about in COMMANDS.items()
    ]
    return ABOUT.format(program=program, commands="\n".join(commands))


def _hint(names: list[str]) -> str:
    """Name the command that was probably meant, or all commands."""
    near = difflib.get_close_matches(names[0], COMMANDS, n=1)
    return f"did you mean {near[0]}?" if near else f"use one of {', '.join(COMMANDS)}"


if __name__ == "__main__":
    main()

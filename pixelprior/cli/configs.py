"""List the recipes, their variants and their measured results.

pixelprior configs
pixelprior train --config=digits:pixel_snail --workdir=runs/digits
"""

import sys
import textwrap
from typing import NoReturn

from pixelprior.cli import app
from pixelprior.cli.flags import Flags
from pixelprior.cli.help import FlagGroups, terminal_width
from pixelprior.experiment.recipes import all_variants, recipes

FLAGS = Flags()

FLAG_GROUPS: FlagGroups = {}

NAME_WIDTH = 32
INDENT = " " * 6


def main() -> None:
    """Print the recipes, each above its variants."""
    # A log or a filter, such as grep, gets each variant in one line.
    width = terminal_width() if sys.stdout.isatty() else None
    print(listing(width), end="", flush=True)


def listing(width: int | None) -> str:
    """List the recipes, in lines of at most ``width`` characters, or in whole lines."""
    lines, variants = [], all_variants()
    for recipe, module in recipes().items():
        lines += _wrapped((module.__doc__ or recipe).partition("\n")[0], width)
        for name, variant in variants.items():
            if name.partition(":")[0] == recipe:
                result = variant.measured or "not measured"
                lines += _wrapped(f"  {name:<{NAME_WIDTH}} {variant.title}: {result}", width)
    return "\n".join(lines) + "\n"


def _wrapped(line: str, width: int | None) -> list[str]:
    return [line] if width is None else textwrap.wrap(line, width, subsequent_indent=INDENT)


def run() -> NoReturn:
    """Run the command line and exit the process."""
    app.run(main, FLAGS, FLAG_GROUPS, uses_jax=False)

"""Help of a command: its purpose, examples, and its own flags in groups."""

import re
import sys
import textwrap
from collections.abc import Mapping

from absl import flags

from pixelprior.cli.flags import Flags

FlagGroups = Mapping[str, Mapping[str, str]]
"""Title of a group to its flags; each flag's name to an example value, "" for a switch."""

WIDTH, INDENT = 88, " " * 6


def help_text(about: str, command: Flags, groups: FlagGroups) -> str:
    """Describe a command and its flags.

    Args:
        about: the purpose of the command and examples of it, as its module says.
        command: the flags of the command.
        groups: the same flags in groups.
    """
    lines = [_as_called(about.strip())]
    for title, examples in groups.items():
        lines += ["", f"{title}:"]
        for name, example in examples.items():
            lines += _flag_lines(command[name], example)
    return "\n".join(lines) + "\n"


def _as_called(about: str) -> str:
    """Write the examples for the installed command, which needs no scripts and no config files."""
    if not sys.argv[0].startswith("pixelprior "):
        return about
    about = re.sub(r"python (\w+)\.py", r"pixelprior \1", about)
    return re.sub(r"configs/(\w+)\.py", r"\1", about)


def _flag_lines(flag: flags.Flag, example: str) -> list[str]:
    words = flag.help or ""
    if flag.boolean:
        shown, default = f"--[no]{flag.name}", "on" if flag.default else "off"
    else:
        shown = f"--{flag.name}={example}"
        default = "" if flag.default is None else (flag.default_as_str or "").strip("'")
    if isinstance(flag, flags.EnumFlag):
        # absl puts the values before the words.
        words = f"{words.partition('>: ')[2]} One of: {', '.join(flag.parser.enum_values)}."
    if default:
        words += f" Default: {default}."
    return [
        f"  {shown}",
        *textwrap.wrap(words, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT),
    ]

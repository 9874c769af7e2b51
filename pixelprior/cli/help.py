"""Help of a command: its purpose, examples, and its own flags in groups."""

import re
import shutil
import textwrap
from collections.abc import Mapping

from absl import flags

from pixelprior.cli.flags import Flags

HELP = {"--help", "-help", "-h"}

FlagGroups = Mapping[str, Mapping[str, str]]
"""Title of a group to its flags; each flag's name to an example value, "" for a switch."""

INDENT = " " * 6
NARROWEST, WIDEST = 40, 88
WITHOUT_TERMINAL = 80
_ARGUMENT = re.compile(r"\[.*?\]|\S+")
_PROGRAM = re.compile(r"((?:python -m )?pixelprior) ")
_EXAMPLE = re.compile(r"(python \w+\.py|pixelprior|source) ")


def terminal_width() -> int:
    """Width for text: that of the terminal, within limits; 80 if there is none."""
    columns = shutil.get_terminal_size((WITHOUT_TERMINAL, 24)).columns
    return min(max(columns, NARROWEST), WIDEST)


def help_text(about: str, called: str, command: Flags, groups: FlagGroups, *, width: int) -> str:
    """Describe a command and its flags.

    Args:
        about: the purpose of the command and examples of it, as its module says.
        called: the command as the user started it, such as "train.py" or "pixelprior train".
        command: the flags of the command.
        groups: the same flags in groups.
        width: the largest number of characters in a line.
    """
    lines: list[str] = []
    for paragraph in about.strip().split("\n\n"):
        lines += [""] if lines else []
        if _EXAMPLE.match(paragraph):
            for line in paragraph.splitlines():
                lines += _example_lines(_as_called(line, called), width)
        else:
            lines += textwrap.wrap(paragraph, width)
    for title, examples in groups.items():
        lines += ["", f"{title}:"]
        for name, example in examples.items():
            lines += _flag_lines(command[name], example, width)
    return "\n".join(lines) + "\n"


def description(flag: flags.Flag) -> str:
    """Describe a flag, as its definition does."""
    words = flag.help or ""
    # absl puts the values before the words.
    return words.partition(">: ")[2] if isinstance(flag, flags.EnumFlag) else words


def _as_called(example: str, called: str) -> str:
    """Write an example for the installed command, which needs no scripts and no config files."""
    started = _PROGRAM.match(called)
    if not started:
        return example
    example = re.sub(r"^python (\w+)\.py", r"pixelprior \1", example)
    example = re.sub(r"^pixelprior\b", started[1], example)
    return re.sub(r"configs/(\w+)\.py", r"\1", example)


def _example_lines(example: str, width: int) -> list[str]:
    """Break a long command between its arguments, in the way of a shell."""
    program, *arguments = _ARGUMENT.findall(example)
    lines, end = [program], " \\"
    for argument in arguments:
        if len(lines[-1]) + 1 + len(argument) + len(end) <= width:
            lines[-1] += f" {argument}"
        else:
            lines[-1] += end
            lines.append(f"    {argument}")
    return lines


def _flag_lines(flag: flags.Flag, example: str, width: int) -> list[str]:
    words = description(flag)
    if flag.boolean:
        shown, default = f"--[no]{flag.name}", "on" if flag.default else "off"
    else:
        shown = f"--{flag.name}={example}"
        default = "" if flag.default is None else (flag.default_as_str or "").strip("'")
    if isinstance(flag, flags.EnumFlag):
        words = f"{words} One of: {', '.join(flag.parser.enum_values)}."
    if default:
        words += f" Default: {default}."
    return [
        f"  {shown}",
        *textwrap.wrap(words, width, initial_indent=INDENT, subsequent_indent=INDENT),
    ]

"""Candidates for the word of a command line that the user completes with the Tab key.

The scripts in ``shells`` ask for them. They come from the flags of each command.
"""

import contextlib
import importlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from absl import flags

from pixelprior.cli.commands import COMMANDS
from pixelprior.cli.completion import SHELLS
from pixelprior.cli.config_flag import ConfigParser
from pixelprior.cli.flags import Flags
from pixelprior.cli.help import description
from pixelprior.cli.path_candidates import paths
from pixelprior.cli.path_flags import PathParser, RunParser
from pixelprior.errors import InputError
from pixelprior.experiment.recipes import all_variants, load_recipe
from pixelprior.runs.bundled import bundled_models
from pixelprior.runs.one_file.layout import SUFFIX


class Candidate(NamedTuple):
    """A word, and a remark about it. The user goes on with a word that ends in "/" or "="."""

    text: str
    about: str = ""


def answer(words: Sequence[str]) -> str:
    """Return the candidates as lines of a word, a tab and a remark."""
    return "".join(f"{text}\t{about}\n" for text, about in candidates(words))


def candidates(words: Sequence[str]) -> Iterator[Candidate]:
    """Yield all continuations of the last word, given the words before it.

    Args:
        words: the words after the name of the program, up to the cursor.
    """
    *before, word = words or [""]
    return (found for found in _all(before, word) if found.text.startswith(word))


def _all(before: Sequence[str], word: str) -> Iterator[Candidate]:
    """Yield the words that may follow ``before``. Those unlike ``word`` may be left out."""
    match before:
        case []:
            yield from map(Candidate, COMMANDS, COMMANDS.values())
            if word.startswith("-"):
                yield from map(Candidate, ("--help", "--version"))
        case ["help"]:
            yield from map(Candidate, COMMANDS, COMMANDS.values())
        case ["completion"]:
            yield from map(Candidate, SHELLS)
        case [name, *given] if name in COMMANDS:
            command = importlib.import_module(f"pixelprior.cli.{name}").FLAGS
            yield from _of_command(command, given, word)


def _of_command(command: Flags, given: Sequence[str], word: str) -> Iterator[Candidate]:
    name, equals, value = word.lstrip("-").partition("=")
    previous = given[-1].lstrip("-") if given and given[-1].startswith("-") else ""
    if previous in command and not command[previous].boolean:
        yield from _values(command[previous], word)
    elif word.startswith("--config.") and "config" in command:
        yield from _config_keys(given)
    elif word.startswith("-") and equals:
        if name in command:
            start = word[: -len(value)] if value else word
            for text, about in _values(command[name], value):
                yield Candidate(start + text, about)
    elif word and not word.startswith("-"):
        yield from map(Candidate, paths(word, runs_end=True))
    else:
        yield from _flags(command, given)


def _flags(command: Flags, given: Sequence[str]) -> Iterator[Candidate]:
    """Yield the flags that are not given yet. A switch has the form that changes the default."""
    names = {word.lstrip("-").partition("=")[0].removeprefix("no") for word in given}
    for name in command:
        flag = command[name]
        if name.removeprefix("no") not in names:
            about = description(flag).partition(". ")[0].removesuffix(".")
            if not flag.boolean:
                yield Candidate(f"--{name}=", about)
            elif flag.default:
                yield Candidate(f"--no{name}", f"Turn off: {about}")
            else:
                yield Candidate(f"--{name}", about)
    yield Candidate("--help")


def _values(flag: flags.Flag, typed: str) -> Iterator[Candidate]:
    """Yield values of a flag. Those unlike ``typed`` may be left out."""
    match flag.parser:
        case flags.EnumParser() as parser:
            yield from map(Candidate, parser.enum_values)
        case ConfigParser():
            variants = [
                Candidate(name, variant.title)
                for name, variant in all_variants().items()
                if name.startswith(typed)
            ]
            yield from variants or map(Candidate, paths(typed, suffixes=(".py",)))
        case RunParser() as parser:
            models = bundled_models() if parser.bundled else ()
            yield from (Candidate(name, "bundled model") for name in models)
            suffixes = (SUFFIX,) if parser.bundled else ()
            yield from map(Candidate, paths(typed, suffixes=suffixes, runs_end=True))
        case PathParser():
            yield from map(Candidate, paths(typed))


def _config_keys(given: Sequence[str]) -> Iterator[Candidate]:
    """Yield the flags for the keys of the given recipe. Config files of users are not run."""
    # An unfinished or wrong name has no keys.
    with contextlib.suppress(InputError):
        for key, value in _leaves(load_recipe(_given_config(given))):
            yield Candidate(f"--config.{key}=", f"now {value!r}")


def _given_config(given: Sequence[str]) -> str:
    """Return the value of ``--config``, in the same word or in the next one."""
    for word, following in itertools.pairwise([*given, ""]):
        name, equals, value = word.lstrip("-").partition("=")
        if name == "config":
            return value if equals else following
    return ""


def _leaves(config: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{start}{key}.")
        else:
            yield f"{start}{key}", value

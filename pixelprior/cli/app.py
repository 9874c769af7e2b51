"""Shared start of all command lines: parse the flags, call the script, report errors briefly."""

import contextlib
import logging
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from absl import flags
from absl import logging as absl_logging

from pixelprior.cli.flags import Flags
from pixelprior.cli.help import FlagGroups, help_text
from pixelprior.errors import InputError
from pixelprior.experiment.recipes import make_importable
from pixelprior.system.command import in_command
from pixelprior.system.compilation_cache import keep_compiled_programs
from pixelprior.system.printable import printable

HELP = {"--help", "-help", "-h"}


def run(
    main: Callable[..., int | None],
    command: Flags,
    flag_groups: FlagGroups,
    *,
    takes_names: bool = False,
) -> NoReturn:
    """Parse the flags, call ``main`` and exit with the status that it returns.

    An `InputError` ends the process with one sentence on standard error and exit status 2. A flag
    that does not exist, or does not parse, ends it in the same way. One process, such as a
    notebook, may call this several times.

    Args:
        main: the command, in the module that defines its flags.
        command: the flags of that module.
        flag_groups: the same flags in groups, as ``--help`` lists them.
        takes_names: call ``main`` with the list of all arguments that are not flags. If False,
            such arguments are an error.
    """
    if HELP & set(sys.argv[1:]):
        about = sys.modules[main.__module__].__doc__ or ""
        print(help_text(about, command, flag_groups), end="")
        sys.exit(0)
    make_importable()
    names = list(_parse(command, sys.argv)[1:])
    if names and not takes_names:
        _fail(f"arguments are given as --flag=value, got {' '.join(names)!r}")
    keep_compiled_programs()
    try:
        with _quiet_libraries(), in_command(sys.argv):
            status = main(names) if takes_names else main()
    except InputError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        # The status that shells expect after Ctrl-C.
        sys.exit(130)
    sys.exit(status)


@contextlib.contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Hide the messages of libraries, which would hide those of the run."""
    root = logging.getLogger()
    level, verbosity = root.level, absl_logging.get_verbosity()
    root.setLevel(logging.ERROR)
    absl_logging.set_verbosity(absl_logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
        absl_logging.set_verbosity(verbosity)


def _parse(command: Flags, arguments: Sequence[str]) -> Sequence[str]:
    try:
        return command.parse(arguments)
    except flags.Error as error:
        # absl puts the name of the flag before the message.
        if isinstance(error.__context__, InputError):
            _fail(str(error.__context__))
        # absl's words for a required flag that is missing.
        if missing := re.search(r"^flag --(\w+)=None: Flag --\w+ must have a value", str(error)):
            _fail(f"--{missing[1]} must be given; --help has an example of each flag")
        # The config's own flags exist only after its file is known.
        if (key := re.search(r"(?:flag '|Found --)(config\.\w[\w.]*)", str(error))) and (
            "config" in command
        ):
            if sum(re.match("--?config(=|$)", each) is not None for each in arguments) > 1:
                _fail("--config is given more than once; give one recipe or file")
            _fail(f"--{key[1]} changes a config; give its recipe or file with --config before it")
        _fail(str(error))
    # ml_collections raises these for a key that the config does not have. For a value of the wrong
    # type it raises those of the next clause.
    except (KeyError, AttributeError) as error:
        words = str(error)
        key, meant = re.search(r"\w+", words), re.search(r'Did you mean "(\w+)"', words)
        hint = f"did you mean {meant[1]}?" if meant else "its file lists them all"
        _fail(f"the config has no key {key[0] if key else words!r}; {hint}")
    except (TypeError, ValueError) as error:
        _fail(f"a --config.key=value flag does not fit the config: {error}")


def _fail(message: str) -> NoReturn:
    print(f"error: {printable(message)}", file=sys.stderr)
    sys.exit(2)

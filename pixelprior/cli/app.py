"""Shared start of all command lines: parse the flags, call the script, report errors briefly."""

import contextlib
import difflib
import logging
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from absl import flags
from absl import logging as absl_logging

from pixelprior.cli.closed_output import ending_with_reader
from pixelprior.cli.failure import fail, interrupted
from pixelprior.cli.flags import Flags
from pixelprior.cli.help import HELP, FlagGroups, help_text, terminal_width
from pixelprior.errors import InputError
from pixelprior.experiment.recipes import make_importable
from pixelprior.system.command import in_command


def run(
    main: Callable[..., int | None],
    command: Flags,
    flag_groups: FlagGroups,
    *,
    takes_names: bool = False,
    uses_jax: bool = True,
) -> NoReturn:
    """Parse the flags, call ``main`` and exit with the status that it returns.

    An `InputError` ends the process with one sentence on standard error and exit status 2. A flag
    that does not exist, or does not parse, ends it in the same way. One process, such as a
    notebook, may call this several times.

    Args:
        main: the command, in the module that defines its flags. It imports the modules of its work
            when it is called, so that help is fast.
        command: the flags of that module.
        flag_groups: the same flags in groups, as ``--help`` lists them.
        takes_names: call ``main`` with the list of all arguments that are not flags. If False,
            such arguments are an error.
        uses_jax: set up JAX, which takes time to import.
    """
    with ending_with_reader():
        if HELP & set(sys.argv[1:]):
            about = sys.modules[main.__module__].__doc__ or ""
            text = help_text(about, sys.argv[0], command, flag_groups, width=terminal_width())
            print(text, end="", flush=True)
            sys.exit(0)
        make_importable()
        names = list(_parse(command, sys.argv)[1:])
        if names and not takes_names:
            form = "arguments are given as --flag=value"
            if not list(command):
                form = f"{sys.argv[0].rpartition(' ')[2]} takes no arguments"
            fail(f"{form}, got {' '.join(names)!r}")
        if uses_jax:
            _keep_compiled_programs()
        try:
            with _quiet_libraries(), in_command(sys.argv):
                status = main(names) if takes_names else main()
        except InputError as error:
            fail(str(error))
        except KeyboardInterrupt:
            interrupted()
    sys.exit(status)


def _keep_compiled_programs() -> None:
    # Imported here, since help does not need JAX.
    from pixelprior.system.compilation_cache import keep_compiled_programs

    keep_compiled_programs()


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
            fail(str(error.__context__))
        # absl's words for a number that is none.
        if number := re.search(
            r"^flag --(\w+)=(.*): (invalid literal for int|could not convert)", str(error)
        ):
            kind = "an integer" if "int" in number[3] else "a number"
            fail(f"--{number[1]} must be {kind}, got {number[2]!r}")
        # absl shows the two parts of its message as a tuple.
        if switch := re.search(r"^flag --(\w+)=(.*): \('Non-boolean argument", str(error)):
            fail(f"--{switch[1]} is a switch: --{switch[1]} or --no{switch[1]}, got {switch[2]!r}")
        # absl's words for a required flag that is missing.
        if missing := re.search(r"^flag --(\w+)=None: Flag --\w+ must have a value", str(error)):
            fail(f"--{missing[1]} must be given; --help has an example of each flag")
        # The config's own flags exist only after its file is known.
        if (key := re.search(r"(?:flag '|Found --)(config\.\w[\w.]*)", str(error))) and (
            "config" in command
        ):
            if sum(re.match("--?config(=|$)", each) is not None for each in arguments) > 1:
                fail("--config is given more than once; give one recipe or file")
            fail(f"--{key[1]} changes a config; give its recipe or file with --config before it")
        if isinstance(error, flags.UnrecognizedFlagError):
            near = difflib.get_close_matches(error.flagname, list(command), n=1)
            hint = f"did you mean --{near[0]}?" if near else "--help lists the flags"
            fail(f"there is no flag --{error.flagname}; {hint}")
        fail(str(error))
    # ml_collections raises these for a key that the config does not have. For a value of the wrong
    # type it raises those of the next clause.
    except (KeyError, AttributeError) as error:
        words = str(error)
        key, meant = re.search(r"\w+", words), re.search(r'Did you mean "(\w+)"', words)
        hint = f"did you mean {meant[1]}?" if meant else "its file lists them all"
        fail(f"the config has no key {key[0] if key else words!r}; {hint}")
    except (TypeError, ValueError) as error:
        fail(f"a --config.key=value flag does not fit the config: {error}")

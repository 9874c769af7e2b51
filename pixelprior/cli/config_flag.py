"""The flag ``--config`` and the flags that change the keys of its config."""

import ast
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from pixelprior.cli.load_config import load_config


class ConfigParser(flags.ArgumentParser):
    """Parser of the file or the recipe of a config."""

    def parse(self, argument: str) -> ConfigDict:
        """Load a config."""
        return load_config(argument)

    def flag_type(self) -> str:
        """Name of the type."""
        return "config"


class _TupleParser(flags.ArgumentParser):
    """Parser of a tuple.

    The parser of ml_collections appends the values of repeated flags. With this one, the last flag
    counts, as for all other keys.
    """

    def parse(self, argument: str | tuple[Any, ...]) -> tuple[Any, ...]:
        """Parse values with commas between them; names need no quotes."""
        if isinstance(argument, tuple):
            return argument
        try:
            value = ast.literal_eval(argument)
        except (SyntaxError, TypeError, ValueError):
            value = [name.strip() for name in argument.split(",")]
        return tuple(value) if isinstance(value, tuple | list) else (value,)

    def flag_type(self) -> str:
        """Name of the type."""
        return "tuple"


def define_config(name: str, help: str, values: flags.FlagValues) -> flags.FlagHolder:
    """Define a flag for a config that must be given.

    Args:
        name: the name of the flag.
        help: its description.
        values: the flags of the command. Flags that change the keys of the config are added when
            its own flag is parsed.
    """
    config_flags.register_flag_parser_for_type(tuple, _TupleParser())
    holder = config_flags.DEFINE_config_file(name, None, help, flag_values=values)
    values[name].parser = ConfigParser()
    flags.mark_flag_as_required(holder)
    return holder

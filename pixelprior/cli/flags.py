"""Flags of one command, apart from the flags of all other commands.

Several commands can therefore run in one process, as in a notebook. Each run begins with the
defaults.
"""

from collections.abc import Iterator, Sequence

from absl import flags

from pixelprior.cli.config_flag import define_config
from pixelprior.cli.path_flags import PathParser, RunParser


class Flags:
    """Flags of one command. Each method defines one flag and returns its holder.

    Examples:
        >>> FLAGS = Flags()
        >>> _NUM = FLAGS.integer("num", 64, "Number of images.")
        >>> FLAGS.parse(["sample.py", "--num=3"])
        ['sample.py']
        >>> _NUM.value
        3
    """

    def __init__(self) -> None:
        self._values = flags.FlagValues()

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, without short names and the keys of a config."""
        return (
            name for name in self._values if self._values[name].name == name and "." not in name
        )

    def __contains__(self, name: str) -> bool:
        """Return True if there is a flag with this name."""
        return name in self._values

    def __getitem__(self, name: str) -> flags.Flag:
        """Return the flag with this name."""
        return self._values[name]

    def string(self, name: str, default: str | None, help: str) -> flags.FlagHolder:
        """Define a string."""
        return flags.DEFINE_string(name, default, help, flag_values=self._values)

    def path(
        self,
        name: str,
        default: str | None,
        help: str,
        *,
        required: bool = False,
        short_name: str | None = None,
        may_be_empty: bool = False,
    ) -> flags.FlagHolder:
        """Define a path, in which ``~`` is the home folder."""
        return flags.DEFINE(
            PathParser(may_be_empty=may_be_empty),
            name,
            default,
            help,
            flag_values=self._values,
            required=required,
            short_name=short_name,
        )

    def run(
        self, name: str, help: str, *, bundled: bool = True, required: bool = False
    ) -> flags.FlagHolder:
        """Define a run: its folder, or with ``bundled`` also a file or a bundled model."""
        return flags.DEFINE(
            RunParser(bundled=bundled),
            name,
            None,
            help,
            flag_values=self._values,
            required=required,
        )

    def integer(self, name: str, default: int | None, help: str) -> flags.FlagHolder:
        """Define an integer."""
        return flags.DEFINE_integer(name, default, help, flag_values=self._values)

    def number(self, name: str, default: float | None, help: str) -> flags.FlagHolder:
        """Define a number."""
        return flags.DEFINE_float(name, default, help, flag_values=self._values)

    def switch(self, name: str, default: bool, help: str) -> flags.FlagHolder:
        """Define a switch, with ``--no`` before its name for False."""
        return flags.DEFINE_bool(name, default, help, flag_values=self._values)

    def choice(
        self, name: str, default: str | None, values: Sequence[str], help: str
    ) -> flags.FlagHolder:
        """Define a string that is one of several."""
        return flags.DEFINE_enum(name, default, values, help, flag_values=self._values)

    def names(self, name: str, default: list[str] | None, help: str) -> flags.FlagHolder:
        """Define a list of strings, with commas between them."""
        return flags.DEFINE_list(name, default, help, flag_values=self._values)

    def config(self, name: str, help: str) -> flags.FlagHolder:
        """Define a config, which must be given. Flags like ``--config.key=value`` change it."""
        return define_config(name, help, self._values)

    def parse(self, arguments: Sequence[str]) -> Sequence[str]:
        """Parse the arguments of one run of the command; return those that are not flags.

        Raises:
            absl.flags.Error: if a flag does not exist, or has no such value.
        """
        # The keys of the config of an earlier run.
        for name in [name for name in self._values if "." in name]:
            delattr(self._values, name)
        self._values.unparse_flags()
        return self._values(arguments)

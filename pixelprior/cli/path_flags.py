"""Flags that are paths. Shells expand ``~`` only at the start of a word, which a flag is not."""

from absl import flags

from pixelprior.system.home import expand_home

# absl lists a flag under the module that calls `DEFINE_path`.
flags.disclaim_key_flags()


class _PathParser(flags.ArgumentParser):
    """Parser of a path, with ``~`` for the home folder."""

    def parse(self, argument: str) -> str:
        """Replace ``~`` in a path."""
        return expand_home(argument)

    def flag_type(self) -> str:
        """Name of the type in --helpfull."""
        return "path"


def DEFINE_path(
    name: str,
    default: str | None,
    help: str,
    *,
    required: bool = False,
    short_name: str | None = None,
) -> flags.FlagHolder:
    """Define a flag that is a path. The arguments are those of `flags.DEFINE_string`."""
    return flags.DEFINE(
        _PathParser(), name, default, help, required=required, short_name=short_name
    )

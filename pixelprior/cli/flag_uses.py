"""Flags that have no effect in one use of a command, which is refused."""

from collections.abc import Collection

from absl import flags

from pixelprior.cli.help import FlagGroups
from pixelprior.errors import InputError


def check_flags(use: str, accepted: Collection[str], groups: FlagGroups) -> None:
    """Raise an InputError if the user gave a flag that has no effect in this use.

    Args:
        use: the use of the command as a user calls it, like "--mode=sample".
        accepted: the names of the flags that have an effect.
        groups: all flags of the command.
    """
    for names in groups.values():
        for name in names:
            if flags.FLAGS[name].present and name not in accepted:
                raise InputError(f"--{name} has no effect with {use}; leave it out")

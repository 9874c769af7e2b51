"""Flags that have no effect in one use of a command, which is refused."""

from collections.abc import Collection

from pixelprior.cli.flags import Flags
from pixelprior.errors import InputError


def check_flags(use: str, accepted: Collection[str], flags: Flags) -> None:
    """Raise an InputError if the user gave a flag that has no effect in this use.

    Args:
        use: the use of the command as a user calls it, like "--mode=sample".
        accepted: the names of the flags that have an effect.
        flags: all flags of the command.
    """
    for name in flags:
        if flags[name].present and name not in accepted:
            raise InputError(f"--{name} has no effect with {use}; leave it out")

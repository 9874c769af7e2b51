"""The home folder in paths, for which ``~`` stands."""

import os.path
import re


def expand_home(path: str) -> str:
    """Replace ``~`` by the home folder, in ``~/images`` and also in ``folder:~/images``."""
    if found := re.fullmatch(r"(\w+:)(~.*)", path, re.DOTALL):
        return found[1] + os.path.expanduser(found[2])
    return os.path.expanduser(path)

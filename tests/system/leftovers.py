"""Names of temporary files as killed processes leave them."""

import re

from pixelprior.system.leftovers import mark

NO_PROCESS = 2**22 + 1
"""A number above those that Linux gives to processes."""


def leftover(name, process=NO_PROCESS):
    """Name of a temporary file of a process of this host, which is dead by default."""
    return re.sub(r"-\d+$", f"-{process}", f".{name}.{mark()}") + ".unfinished"

"""Paths that continue a typed path."""

import contextlib
import os
from collections.abc import Iterator

from pixelprior.system.home import expand_home


def paths(
    typed: str, *, suffixes: tuple[str, ...] | None = None, runs_end: bool = False
) -> Iterator[str]:
    """Yield folders and files that continue a path, in alphabetical order. A folder ends in "/".

    Args:
        typed: the start of the path, in which ``~`` may be the home folder.
        suffixes: the suffixes of files to yield; None for all files.
        runs_end: yield run folders without "/".
    """
    start = typed.rpartition("/")[2]
    parent = typed[: len(typed) - len(start)]
    # A folder may be missing, or refuse to be read.
    with contextlib.suppress(OSError), os.scandir(expand_home(parent) or ".") as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            hidden = entry.name.startswith(".") and not start
            if hidden or not entry.name.startswith(start) or not entry.name.isprintable():
                continue
            if entry.is_dir():
                ends = runs_end and os.path.isfile(os.path.join(entry.path, "config.json"))
                yield parent + entry.name + ("" if ends else "/")
            elif suffixes is None or entry.name.endswith(suffixes):
                yield parent + entry.name

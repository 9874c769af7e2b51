"""Folders that appear complete or not at all, even if their writer is killed.

All files are first written to a hidden folder in the same place. It is renamed at the end.
"""

import contextlib
import errno
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from pixelprior.data.errors import DataError
from pixelprior.system.atomic import sync
from pixelprior.system.leftovers import SUFFIX, mark, remove_leftovers

_IN_THE_WAY = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)  # the last: a link to a folder


@contextlib.contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn errors of writing to ``place`` into a DataError.

    Put only the writing itself into the body. array_record raises RuntimeErrors, and so does much
    other code.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{place} cannot be written ({error}); make room for it, or choose another place"
        ) from error


@contextlib.contextmanager
def workplace(folder: Path) -> Iterator[Path]:
    """Create a new, empty folder next to ``folder``; remove it with its content at the end.

    Such folders that killed processes have left are removed first. A process can have one workplace
    for each ``folder``.

    Raises:
        DataError: if the workplace cannot be created.
    """
    work = folder.with_name(f".{folder.name}.{mark()}{SUFFIX}")
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder.parent)
        # After a container restarts, this process may have the number of a killed one.
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def publish(new: Path, folder: Path, is_as_good: Callable[[], bool]) -> None:
    """Move the folder ``new`` from a `workplace` to ``folder``.

    Args:
        new: the written folder, already flushed to the disk.
        folder: the final path.
        is_as_good: returns True to keep the folder that is already there. Another process may have
            written it meanwhile. A folder that is not kept is moved into the workplace.

    Raises:
        DataError: if the folder cannot be moved.
    """
    with writing(folder):
        for attempt in itertools.count():
            try:
                os.rename(new, folder)
            except OSError as error:
                if error.errno not in _IN_THE_WAY:
                    raise
            else:
                sync(folder.parent)
                return
            if is_as_good():
                return
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                os.rename(folder, new.with_name(f"replaced{attempt}"))

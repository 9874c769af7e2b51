"""Temporary files that killed processes left behind.

A temporary file has the host and the process in its name. Hosts may share a disk, but not process
numbers, so only files of dead processes of this host are removed.
"""

import contextlib
import glob
import os
import platform
import re
import shutil
import time
import zlib
from pathlib import Path

SUFFIX = ".unfinished"
_STARTED = time.time()


def mark() -> str:
    """Return the mark of this process in the names of its temporary files.

    It is short, because systems limit the length of names.
    """
    return f"{_host()}-{os.getpid()}"


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files and folders of dead processes of this host from a folder.

    Folders in it are searched too, links are not followed. A file that cannot be removed stays.
    """
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if _is_leftover(path):
                if name in folders:
                    folders.remove(name)
                remove(path)


def remove_leftovers_of(path: Path) -> None:
    """Remove temporary files of a file that dead processes of this host have left beside it."""
    for other in path.parent.glob(f".{glob.escape(path.name)}.*{SUFFIX}"):
        if _is_leftover(other):
            remove(other)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder if this is possible."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def remove_unfinished_checkpoints(checkpoints: Path) -> None:
    """Remove checkpoints that were never completed. Call this only as the one writer of a run.

    Their names do not tell which process began them.
    """
    for path in checkpoints.glob("*.orbax-checkpoint-tmp*"):
        remove(path)


def is_living(process: int, began: float) -> bool:
    """True if a process of this host runs that may have written a file.

    Args:
        process: the number of the process.
        began: the time at which the file was last written, in seconds since the epoch.
    """
    # After a container restarts, this process may have the number of a killed one.
    if process == os.getpid():
        return began >= _STARTED
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # it belongs to another user, so it is alive
    return True


def _host() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _is_leftover(path: Path) -> bool:
    found = re.fullmatch(rf"\..+\.{_host()}-(\d{{1,18}})(?:{re.escape(SUFFIX)}|\.probe)", path.name)
    if found is None:
        return False
    try:
        return not is_living(int(found[1]), os.lstat(path).st_mtime)
    except OSError:  # its process has removed it
        return False

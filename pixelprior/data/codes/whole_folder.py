"""A folder that appears whole or not at all, whatever kills its writer.

Everything is written into a hidden folder beside it, which is renamed at the end.
"""

import contextlib
import errno
import itertools
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from pixelprior.data.errors import DataError
from pixelprior.system.atomic import sync

_SUFFIX = ".unfinished"
_IN_THE_WAY = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)  # the last: a link to a folder


@contextlib.contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turns what goes wrong in writing to ``place`` into a DataError.

    Nothing but the writing itself belongs in its body: array_record's errors are RuntimeErrors, and
    so are many others.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{place} cannot be written ({error}); make room for it, or choose another place"
        ) from error


@contextlib.contextmanager
def workplace(folder: Path) -> Iterator[Path]:
    """A new, empty folder beside ``folder``, which is removed in the end with all that is in it.

    What earlier ones of killed processes have left behind is removed first. A process can have one
    for each ``folder``.

    Raises:
        DataError: if it cannot be made.
    """
    # Process numbers mean nothing on another host, which may share the disk.
    prefix = f".{folder.name}.{platform.node()}."
    work = folder.with_name(f"{prefix}{os.getpid()}{_SUFFIX}")
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        for path in folder.parent.iterdir():
            if path.name.startswith(prefix) and path.name.endswith(_SUFFIX):
                process = path.name[len(prefix) : -len(_SUFFIX)]
                if process.isdecimal() and not _is_another_living(int(process)):
                    shutil.rmtree(path, ignore_errors=True)
        work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _is_another_living(process: int) -> bool:
    # In a container that was started again, a killed process' number may well be our own.
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # someone else's
    return True


def publish(new: Path, folder: Path, is_as_good: Callable[[], bool]) -> None:
    """Makes the folder ``new``, in a `workplace`, appear as ``folder``.

    Args:
        new: what has been written, down to the disk.
        folder: where it is to be.
        is_as_good: whether what is at ``folder`` is to stay, which another process may have put
            there meanwhile. If not, it is moved into the workplace.

    Raises:
        DataError: if it cannot be moved there.
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

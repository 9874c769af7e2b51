"""Lock of a folder: one process at a time writes to it.

The lock is the file ``.lock``, with the host and the number of its process. The kernel of a host
frees the lock when its process ends, however it ends. Another host may share the folder without
sharing its locks. The process therefore writes a new beat into the file every few seconds, and a
file without new beats is of a process that has ended.
"""

import contextlib
import errno
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pixelprior.errors import InputError

NAME = ".lock"

BEAT_SECONDS = 5
"""Time between two beats."""

SILENT_SECONDS = 30
"""Time without a beat after which the process on another host counts as ended."""


class _Owner(NamedTuple):
    host: str
    process: int
    beat: int


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder for the duration of the body. A missing folder is made.

    Raises:
        InputError: if another process holds it, or another thread of this process.
        OSError: if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    descriptor = _acquire(path)
    stop = threading.Event()
    beats = threading.Thread(target=_beat, args=(descriptor, stop), daemon=True)
    beats.start()
    try:
        yield
    finally:
        stop.set()
        beats.join()
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path) -> int:
    """Return an open descriptor of the lock file, which this process now holds."""
    while True:
        # A link would have the lock written into another file.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o644)
        try:
            has_kernel_locks = _lock(descriptor, path)
            # The last owner may have removed the file after it was opened here.
            if _is_at(path, descriptor):
                owner = _read(path)
                here = owner is not None and owner.host == socket.gethostname()
                if owner and not (here and has_kernel_locks) and _is_alive(path, owner):
                    raise _held(path)
                _write(descriptor, 0)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> bool:
    """Lock a file; return False if its file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise _held(path) from None
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _held(path: Path) -> InputError:
    owner = _read(path)
    who = f"process {owner.process} on {owner.host}" if owner else "another process"
    return InputError(
        f"{path.parent} is in use by {who}; wait until it has ended, or give another folder with "
        "--workdir"
    )


def _is_alive(path: Path, owner: _Owner) -> bool:
    """Watch the beats of an owner that the kernel of this host does not know."""
    until = time.monotonic() + SILENT_SECONDS
    while time.monotonic() < until:
        time.sleep(0.5)
        if _read(path) not in (owner, None):
            return True
    return False


def _read(path: Path) -> _Owner | None:
    """Read the owner of a lock; None if there is none, or it has not written its name yet."""
    try:
        # Opening the file anew makes network file systems fetch its content.
        return _Owner(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _write(descriptor: int, beat: int) -> None:
    owner = _Owner(socket.gethostname(), os.getpid(), beat)
    text = json.dumps(owner._asdict()).encode()
    # In one write, with a fixed length, so that readers never see a part.
    os.pwrite(descriptor, text.ljust(200), 0)


def _beat(descriptor: int, stop: threading.Event) -> None:
    beat = 0
    while not stop.wait(BEAT_SECONDS):
        beat += 1
        # A full disk, for example, must not end the training.
        with contextlib.suppress(OSError):
            _write(descriptor, beat)

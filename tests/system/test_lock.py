"""The lock of a folder: held by one process or thread, and free once its process has ended."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from pixelprior.errors import InputError
from pixelprior.system import lock
from pixelprior.system.lock import locked

HOLD = """
import sys, time
from pathlib import Path
from pixelprior.system.lock import locked

with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def owner(folder):
    return json.loads((folder / ".lock").read_text())


def test_another_process_is_named(tmp_path, holder):
    with pytest.raises(InputError) as error, locked(tmp_path):
        pass
    assert f"in use by process {holder.pid} on {socket.gethostname()};" in str(error.value)
    assert "--workdir" in str(error.value)
    # The refusal has changed nothing.
    assert owner(tmp_path)["process"] == holder.pid


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / ".lock").exists()
    with locked(tmp_path):
        assert owner(tmp_path)["process"] == os.getpid()
    assert not (tmp_path / ".lock").exists()


def test_threads_of_one_process(tmp_path):
    refused = []

    def hold():
        try:
            with locked(tmp_path):
                pass
        except InputError as error:
            refused.append(str(error))

    with locked(tmp_path):
        thread = threading.Thread(target=hold)
        thread.start()
        thread.join()
    assert len(refused) == 1 and f"process {os.getpid()} on" in refused[0]
    hold()
    assert len(refused) == 1


def test_of_many_that_start_together_one_gets_it(tmp_path):
    gate, inside, most, got = threading.Barrier(8), [], [], []

    def hold():
        gate.wait()
        try:
            with locked(tmp_path):
                inside.append(1)
                most.append(len(inside))
                got.append(1)
                inside.pop()
        except InputError:
            pass

    threads = [threading.Thread(target=hold) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got and max(most) == 1
    assert not (tmp_path / ".lock").exists()


def of_another_host(folder, beat):
    (folder / ".lock").write_text(json.dumps({"host": "elsewhere", "process": 7, "beat": beat}))


def test_a_host_that_beats_is_alive(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "SILENT_SECONDS", 60)
    of_another_host(tmp_path, 1)
    beat = threading.Timer(0.2, of_another_host, (tmp_path, 2))
    beat.start()
    with pytest.raises(InputError, match="in use by process 7 on elsewhere"), locked(tmp_path):
        pass
    beat.join()


def test_a_host_that_is_silent_has_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "SILENT_SECONDS", 0.6)
    of_another_host(tmp_path, 1)
    with locked(tmp_path):
        assert owner(tmp_path)["host"] == socket.gethostname()


def test_it_beats(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.01)
    until = time.monotonic() + 60
    with locked(tmp_path):
        while owner(tmp_path)["beat"] < 3:
            assert time.monotonic() < until


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": 3}'])
def test_a_damaged_lock_is_no_lock(tmp_path, text):
    (tmp_path / ".lock").write_text(text)
    with locked(tmp_path):
        assert owner(tmp_path)["process"] == os.getpid()


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(lock.fcntl, "flock", unsupported)
    monkeypatch.setattr(lock, "SILENT_SECONDS", 0.6)
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.05)
    with locked(tmp_path):
        with pytest.raises(InputError, match="in use by process"), locked(tmp_path):
            pass
        (tmp_path / ".lock").rename(tmp_path / "copy")
    (tmp_path / "copy").rename(tmp_path / ".lock")
    with locked(tmp_path):
        pass


def test_a_link_is_no_lock(tmp_path):
    (tmp_path / "file").write_text("precious")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(tmp_path / "file")
    with pytest.raises(OSError, match="symbolic links"), locked(tmp_path / "run"):
        pass
    assert (tmp_path / "file").read_text() == "precious"

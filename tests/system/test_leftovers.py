"""Temporary files of dead processes of this host are removed, and no others."""

import os
import re
import signal
import subprocess
import sys

import pytest

from pixelprior.system.atomic import replacing
from pixelprior.system.leftovers import mark, remove_leftovers, remove_unfinished_checkpoints
from tests.system.leftovers import leftover

WRITER = """
import sys, time
from pathlib import Path
from pixelprior.system.atomic import replacing
with replacing(Path(sys.argv[1]) / "file") as temporary:
    temporary.write_text("half of it")
    print(temporary.name, flush=True)
    time.sleep(600)
"""


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_writer_that_is_killed(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        name = writer.stdout.readline().strip()
        remove_leftovers(tmp_path)  # the writer lives
        assert names(tmp_path) == [name]
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert names(tmp_path) == [name]
    remove_leftovers(tmp_path)
    assert names(tmp_path) == []


def test_what_this_process_writes_stays(tmp_path):
    with replacing(tmp_path / "file") as temporary:
        temporary.write_text("half of it")
        remove_leftovers(tmp_path)
        assert temporary.exists()
    assert names(tmp_path) == ["file"]
    # A process of the same number that ended before this one began, as in containers.
    old = tmp_path / leftover("file", os.getpid())
    old.touch()
    os.utime(old, (1, 1))
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["file"]


def test_which_names_are_removed(tmp_path):
    host, dead = mark().split("-")[0], leftover("x")
    removed = [dead, f"inner/{dead}", f"{leftover('folder')}/file", dead[: -len("unfinished")]]
    removed[-1] += "probe"
    kept = [
        "config.json",
        ".samples.npz.unfinished/batch",  # a later job goes on after it
        ".file.1.unfinished",  # of no known host
        re.sub(host, "0" * 8, dead),  # of another host
        dead.lstrip("."),
        f".file.{host}-.unfinished",
        f".file.{host}-{'9' * 40}.unfinished",
    ]
    for name in (*removed, *kept):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    left = {name for name in names(tmp_path) if (tmp_path / name).is_file()}
    assert left == set(kept)
    remove_leftovers(tmp_path / "nowhere")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_are_not_followed(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    for folder in (outside, inside):
        folder.mkdir()
    (outside / leftover("x")).touch()
    (inside / "link").symlink_to(outside)
    (inside / leftover("y")).symlink_to(outside)
    remove_leftovers(inside)
    assert names(inside) == ["link"] and names(outside) == [leftover("x")]


def test_unfinished_checkpoints(tmp_path):
    for name in ("3", "6.orbax-checkpoint-tmp-17", "9.orbax-checkpoint-tmp"):
        (tmp_path / name / "weights").mkdir(parents=True)
    remove_unfinished_checkpoints(tmp_path)
    assert names(tmp_path) == ["3", "3/weights"]

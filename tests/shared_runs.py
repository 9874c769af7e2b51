"""Runs that are trained once, for all processes that share the tests."""

import os
import shutil
from pathlib import Path

from filelock import FileLock


def of_all_workers(tmp_path_factory, name):
    """A folder of this session that all processes share."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / "shared" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def once(tmp_path_factory, name, make):
    """The folder that ``make(folder)`` has filled, in whichever process came first.

    It is not to be changed; a test that writes into it takes `own_copy`.
    """
    runs = of_all_workers(tmp_path_factory, "runs")
    folder, complete = runs / name, runs / f"{name}.complete"
    with FileLock(f"{folder}.lock"):
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)  # an attempt that failed
            folder.mkdir()
            make(folder)
            complete.touch()
    return folder


def own_copy(tmp_path_factory, name, make):
    """A copy of the same, for this process alone."""
    folder = once(tmp_path_factory, name, make)
    return Path(shutil.copytree(folder, tmp_path_factory.mktemp("own") / name))

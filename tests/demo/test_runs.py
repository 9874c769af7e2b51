"""Which folders the demo opens: runs under one folder, and nothing else."""

import os
import shutil

import pytest

from pixelprior.demo.runs import all_runs, find_runs, run_path, version
from pixelprior.errors import InputError
from pixelprior.runs.bundled import bundled_models


@pytest.fixture
def root(tmp_path):
    def run(path):
        (path / "checkpoints" / "10").mkdir(parents=True)
        (path / "config.json").write_text("{}")
        (path / "data.json").write_text("{}")
        return path

    root = tmp_path / "runs"
    prior = run(root / "lists" / "all" / "prior")
    run(prior / "tokenizer")  # part of the prior
    run(root / "digits")
    run(root / "a" / "b" / "c" / "too_deep")
    started = run(root / "started")
    (started / "checkpoints" / "10").rmdir()
    (root / "empty").mkdir()
    (root / "linked").symlink_to(run(tmp_path / "outside"))
    return root


def test_runs_that_can_be_opened_are_found(root, tmp_path):

    assert find_runs(root) == ["digits", "lists/all/prior"]
    assert find_runs(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    "name", ["../outside", "linked", "started", "lists/all/prior/tokenizer", "/etc", "", "digits/."]
)
def test_no_other_folder_is_opened(root, name):

    assert run_path(root, "digits") == root / "digits"
    with pytest.raises(InputError, match="there is no run"):
        run_path(root, name)


def test_files_and_bundled_models_can_be_opened_too(root, tmp_path):
    (root / "lists" / "sent.safetensors").touch()
    (root / "digits" / "inside.safetensors").touch()
    (tmp_path / "outside.safetensors").touch()
    (root / "linked.safetensors").symlink_to(tmp_path / "outside.safetensors")
    assert find_runs(root) == ["digits", "lists/all/prior", "lists/sent.safetensors"]
    assert run_path(root, "lists/sent.safetensors") == root / "lists" / "sent.safetensors"
    before = version(root / "lists" / "sent.safetensors")
    os.utime(root / "lists" / "sent.safetensors", (1, 1))
    assert version(root / "lists" / "sent.safetensors") == 1 != before
    # A bundled model has a name of its own beside a run of that name.
    assert all_runs(root)[:3] == find_runs(root)
    bundled = [f"{name} (bundled)" for name in bundled_models()]
    assert all_runs(root)[3:] == bundled and "digits (bundled)" in bundled
    assert run_path(root, "digits (bundled)") == bundled_models()["digits"]
    for name in ("digits (bundled) (bundled)", "nothing (bundled)", " (bundled)"):
        with pytest.raises(InputError, match="there is no run"):
            run_path(root, name)


def test_names_that_cannot_be_shown_or_are_taken_are_left_out(root):
    for name in (b"bad\xff\xfe", b"a\x1b[2J", b"mnist (bundled)"):
        shutil.copytree(os.fsencode(root / "digits"), os.fsencode(root) + b"/" + name)
    assert find_runs(root) == ["digits", "lists/all/prior"]
    assert run_path(root, "mnist (bundled)") == bundled_models()["mnist"]

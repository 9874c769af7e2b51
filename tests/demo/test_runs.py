"""Which folders the demo opens: runs under one folder, and nothing else."""

import pytest

from pixelprior.demo.runs import find_runs, run_path
from pixelprior.errors import InputError


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

"""Tokenizers and priors that are killed, or told to stop, end with the same bits all the same."""

import os
import shutil

import numpy as np
import pytest

from tests.system.leftovers import leftover
from tests.training.restarts import (
    assert_same_end,
    kill,
    logged,
    saving,
    stopped_at,
    wait_for,
    weights,
)
from tests.training.small_configs import TOKENIZER, write_config

# Processes that compile, five or six for each test.
pytestmark = pytest.mark.slow


def assert_same_end_and_pictures(workdir, finished):
    assert_same_end(workdir, finished)
    picture = "samples/step_0000012.png"
    assert (workdir / picture).read_bytes() == (finished / picture).read_bytes()


def interrupt_and_resume(workdir, start, run, *arguments):
    """Killed before the first checkpoint, killed while it is saved, told to stop, and resumed."""
    for condition in (logged(workdir, 2), saving(workdir, 4)):
        process = start(workdir, *arguments)
        wait_for(condition, process)
        kill(process)
    process = start(workdir, *arguments)
    wait_for(logged(workdir, 5), process)
    process.terminate()
    _, errors = process.communicate()
    assert process.returncode == 143, errors
    stopped = stopped_at(errors)
    assert 5 <= stopped < 12
    errors = run(workdir, *arguments)
    assert f"resuming at step {stopped}" in errors


def test_a_tokenizer_with_its_codebooks(tokenizer, tmp_path, start, run, task_flags):
    workdir = tmp_path / "run"
    interrupt_and_resume(workdir, start, run, task_flags["tokenizer"])
    assert_same_end_and_pictures(workdir, tokenizer)
    # Codebooks and counts are among what was compared, of both levels, and they have moved.
    ends = weights(workdir, averaged=False)
    for kind in ("codebook_vectors", "counts"):
        assert len([name for name in ends if f"['{kind}']" in name]) == 2
    shares = [leaf for name, leaf in ends.items() if "['counts']" in name]
    assert all(len(np.unique(leaf)) > 3 for leaf in shares)


def test_a_prior(tokenizer, prior, tmp_path, start, run, task_flags):
    workdir, codes = tmp_path / "run", tmp_path / "tokenizer"
    shutil.copytree(tokenizer, codes)
    interrupt_and_resume(workdir, start, run, task_flags["prior"], f"--tokenizer={codes}")
    assert_same_end_and_pictures(workdir, prior)


@pytest.mark.release
def test_a_prior_that_is_killed_before_it_trains(
    tokenizer, prior, tmp_path, start, run, task_flags
):
    workdir, copy = tmp_path / "run", tmp_path / "tokenizer"
    shutil.copytree(tokenizer, copy)
    arguments = (task_flags["prior"], f"--tokenizer={copy}")
    # While it encodes.
    process = start(workdir, *arguments)
    wait_for(lambda: any((copy / "codes").glob(".*.unfinished/new/*")), process)
    kill(process)
    assert not any(path for path in (copy / "codes").iterdir() if path.name[0] != ".")
    assert not workdir.exists()
    # While it copies the tokenizer in, or just before or after.
    process = start(workdir, *arguments)
    wait_for(lambda: any(workdir.glob(".tokenizer.*")) or (workdir / "data.json").exists(), process)
    kill(process)
    # What a kill in the middle of that leaves behind, wherever that one came.
    left_over = workdir / leftover("tokenizer")
    left_over.mkdir()
    shutil.copy(copy / "config.json", left_over)
    shutil.rmtree(workdir / "tokenizer", ignore_errors=True)
    run(workdir, *arguments)
    assert_same_end_and_pictures(workdir, prior)
    assert [name for name in os.listdir(copy / "codes") if name.startswith(".")] == []
    assert len(os.listdir(copy / "codes")) == 1
    assert [name for name in os.listdir(workdir) if name.startswith(".")] == []


@pytest.mark.release
def test_a_prior_without_a_checkpoint_takes_another_tokenizer(
    tokenizer, prior, tmp_path, run, task_flags
):
    other = tmp_path / "other"
    run(other, f"--config={write_config(tmp_path, TOKENIZER | {'seed': 1})}")
    workdir = shutil.copytree(prior, tmp_path / "run")
    # With a checkpoint it is refused, see test_pipeline_errors.py.
    shutil.rmtree(workdir / "checkpoints")
    run(workdir, task_flags["prior"], f"--tokenizer={other}")
    theirs, ours, before = (
        weights(folder, averaged=True)
        for folder in (other, workdir / "tokenizer", workdir / "set_aside" / "0" / "tokenizer")
    )
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    assert not all(np.array_equal(ours[name], before[name]) for name in before)

"""A run that is killed, told to stop or finds its checkpoints damaged ends with the same bits."""

import json
import random
import shutil
import time

import pytest

from pixelprior.runs.load import load_trained
from tests.release import slow_cases
from tests.training.restarts import (
    assert_same_end,
    kill,
    logged,
    records,
    saving,
    stopped_at,
    wait_for,
)


def copy(run, folder):
    shutil.copytree(run, folder)
    return folder


def all_files(folder):
    """But for events, of which every process has a file of its own."""
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    return {name for name in files if not name.startswith("events/")}


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def largest(folder):
    return max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def flip_bytes(path):
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 8] = bytes(byte ^ 0xFF for byte in data[middle : middle + 8])
    path.write_bytes(data)


# An uninterrupted run.


def test_metrics_of_a_run_have_every_step_once(finished):
    steps = {
        key: [record["step"] for record in records(finished) if key in record]
        for key in ("num_parameters", "train_bits_per_dim", "validation_nats", "test_nats")
    }
    assert steps == {
        "num_parameters": [0],
        "train_bits_per_dim": list(range(1, 13)),
        "validation_nats": [4, 8, 12],
        "test_nats": [12],
    }


def test_a_complete_run_run_again_changes_nothing(finished, tmp_path, run):
    workdir = copy(finished, tmp_path / "run")
    errors = run(workdir)
    assert "resuming at step 12" in errors and "done" in errors
    assert_same_end(workdir, finished)
    assert all_files(workdir) == all_files(finished)


# Killed, and told to stop.


@pytest.mark.slow
def test_killed_twice_then_stopped_then_resumed(finished, tmp_path, start, run):
    workdir = tmp_path / "run"
    # Before the first checkpoint.
    process = start(workdir)
    wait_for(logged(workdir, 2), process)
    kill(process)
    # While a checkpoint is written, or just after.
    process = start(workdir)
    wait_for(saving(workdir, 4), process)
    kill(process)
    # The scheduler's way of asking.
    process = start(workdir)
    wait_for(logged(workdir, 5), process)
    process.terminate()
    _, errors = process.communicate()
    assert process.returncode == 143, errors
    stopped = stopped_at(errors)
    assert 5 <= stopped < 12 and (workdir / "checkpoints" / str(stopped)).is_dir()
    errors = run(workdir)
    assert f"resuming at step {stopped}" in errors
    assert_same_end(workdir, finished)


# Some of these moments fall into compilation or saving; which, the machine decides.
@pytest.mark.parametrize("seed", slow_cases(range(2), 0))
def test_killed_at_random_moments(finished, tmp_path, start, run, seed):
    rng = random.Random(seed)
    workdir = tmp_path / "run"
    for _ in range(5):
        process = start(workdir)
        step = rng.randrange(1, 13)
        watched = rng.choice((logged, saving))
        condition = watched(workdir, step if watched is logged else (step + 3) // 4 * 4)
        while process.poll() is None and not condition():
            time.sleep(0.001)
        time.sleep(rng.random() * 0.05)
        process.kill()
        process.communicate()
    run(workdir)
    assert_same_end(workdir, finished)
    # Nothing unfinished is left behind.
    assert sorted(p.name for p in (workdir / "checkpoints").iterdir()) == ["12", "8"]


# Damage, end to end; every kind of damage is in test_checkpoints.py.


def test_a_damaged_checkpoint_is_passed_over_and_the_run_ends_with_the_same_bits(
    finished, tmp_path, run
):
    workdir = copy(finished, tmp_path / "run")
    data = largest(workdir / "checkpoints" / "12" / "optimizer")
    flip_bytes(data)
    errors = run(workdir)
    assert "warning: the checkpoint of step 12" in errors and data.name in errors
    assert "resuming at step 8" in errors
    assert "Traceback" not in errors and len(errors.splitlines()) < 30
    assert_same_end(workdir, finished)
    # The damaged one is kept, as it was.
    (aside,) = (workdir / "damaged_checkpoints").iterdir()
    assert all_files(aside) == all_files(finished / "checkpoints" / "12")


def test_when_all_are_damaged_nothing_is_touched(finished, tmp_path, start):
    workdir = copy(finished, tmp_path / "run")
    for step in ("8", "12"):
        largest(workdir / "checkpoints" / step / "weights").unlink()
    before = contents(workdir)
    process = start(workdir)
    _, errors = process.communicate()
    assert process.returncode == 2
    assert "Traceback" not in errors
    for step in (8, 12):
        assert f"warning: the checkpoint of step {step} " in errors
    assert "error: none of the checkpoints in" in errors.splitlines()[-1]
    assert contents(workdir) == before


# A loss that is not finite.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("checkpoint_every", "message"),
    [
        # Seen at the step after the one that blew the weights up ...
        (4, "the loss of step 10 is "),
        # ... unless a checkpoint is due before: weights that score nothing are not saved.
        pytest.param(1, "the validation loss after step 9 is ", marks=pytest.mark.slow),
    ],
)
def test_divergence_leaves_the_last_good_checkpoint(
    finished, tmp_path, start, checkpoint_every, message
):
    # The finished run after its step 8, as if its learning rate had been absurd all along.
    workdir = copy(finished, tmp_path / "run")
    shutil.rmtree(workdir / "checkpoints" / "12")
    path = workdir / "config.json"
    changes = {"learning_rate": 1e30, "clip_norm": 1e30, "checkpoint_every": checkpoint_every}
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    process = start(workdir, *(f"--config.{key}={value}" for key, value in changes.items()))
    _, errors = process.communicate()
    assert process.returncode == 2
    assert "resuming at step 8" in errors and "Traceback" not in errors
    assert f"error: {message}" in errors.splitlines()[-1]
    assert "learning_rate" in errors.splitlines()[-1]
    assert [p.name for p in (workdir / "checkpoints").iterdir()] == ["8"]
    assert load_trained(workdir).provenance == "averaged weights of step 8 (best checkpoint)"
    # What is recorded ends where the trouble begins, and is finite.
    assert records(workdir)[-1]["step"] == 9
    assert "NaN" not in (workdir / "metrics.jsonl").read_text()

"""A run that is killed, told to stop or finds its checkpoints damaged ends with the same bits."""

import json
import random
import shutil
import signal
import time

import jax
import numpy as np
import pytest
from flax import nnx

from pixelprior.loading import load_trained
from pixelprior.training.metrics import read_metrics

RATE = "images_per_second"  # the one value that differs from run to run


def weights(workdir, *, averaged, checkpoint="latest"):
    trained = load_trained(workdir, checkpoint=checkpoint, averaged=averaged)
    return jax.tree.leaves(nnx.state(trained.model))


def records(workdir):
    return [
        {key: value for key, value in record.items() if key != RATE}
        for record in read_metrics(workdir / "metrics.jsonl")
    ]


def assert_same_end(workdir, finished):
    for averaged in (False, True):
        ours, theirs = weights(workdir, averaged=averaged), weights(finished, averaged=averaged)
        assert len(ours) == len(theirs) > 5
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)
    assert records(workdir) == records(finished)


def wait_for(condition, process):
    """Waits until something is true of a running process."""
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.002)


def logged(workdir, step):
    """Whether the metrics of a step have been written."""
    path = workdir / "metrics.jsonl"
    return lambda: path.exists() and f'"step": {step},' in path.read_text()


def saving(workdir, step):
    """Whether a checkpoint is being written, or has been."""
    return lambda: any((workdir / "checkpoints").glob(f"{step}*"))


def copy(run, folder):
    shutil.copytree(run, folder)
    return folder


def all_files(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def rewind(workdir):
    """As if the run had been killed just after its last checkpoint, before the test split."""
    path = workdir / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "test_nats" not in line))


def largest(folder):
    return max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def flip_bytes(path):
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 8] = bytes(byte ^ 0xFF for byte in data[middle : middle + 8])
    path.write_bytes(data)


# An uninterrupted run.


def test_metrics_of_a_run_have_every_step_once(finished):
    kinds = {}
    for record in records(finished):
        kind = next(k for k in ("test_nats", "validation_nats", "train_bits_per_dim") if k in record)
        kinds.setdefault(kind, []).append(record["step"])
    assert kinds == {
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


def test_killed_twice_then_stopped_then_resumed(finished, tmp_path, start, run):
    workdir = tmp_path / "run"
    # Before the first checkpoint.
    process = start(workdir)
    wait_for(logged(workdir, 2), process)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    # While a checkpoint is written, or just after.
    process = start(workdir)
    wait_for(saving(workdir, 4), process)
    process.kill()
    process.communicate()
    # The scheduler's way of asking.
    process = start(workdir)
    wait_for(logged(workdir, 5), process)
    process.terminate()
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert "SIGTERM: saved step" in errors, errors
    stopped = int(errors.split("SIGTERM: saved step ")[1].split(";")[0])
    assert 5 <= stopped < 12 and (workdir / "checkpoints" / str(stopped)).is_dir()
    errors = run(workdir)
    assert f"resuming at step {stopped}" in errors
    assert_same_end(workdir, finished)


# Some of these moments fall into compilation or saving; which, the machine decides.
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
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


# Damage.


def truncate(step):
    path = largest(step / "optimizer")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def delete(step):
    largest(step / "weights").unlink()


def flip(step):
    for path in (step / "averaged").rglob("*"):
        if path.parent.name == "d":
            flip_bytes(path)


def wrong_checksum(step):
    path = step / "checksums" / "metadata"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"optimizer": values["optimizer"] ^ 1}))


def empty(step):
    shutil.rmtree(step)
    step.mkdir()

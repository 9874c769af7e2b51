"""Training processes that are watched, ended and started again, and what their runs end with."""

import signal
import time

import chex
import jax
import numpy as np
from flax import nnx

from pixelprior.runs.load import load_trained
from pixelprior.training.metrics import read_metrics

CLOCK = ("images_per_second", "compile_seconds", "input_share")  # what differs from run to run


def weights(workdir, *, averaged, checkpoint="latest"):
    """The weights of a checkpoint, by their paths in the model."""
    model = load_trained(workdir, checkpoint=checkpoint, averaged=averaged).model
    return {
        jax.tree_util.keystr(path): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(nnx.to_pure_dict(nnx.state(model)))
    }


def records(workdir):
    """The metrics of a run, without times."""
    return [
        {key: value for key, value in record.items() if key not in CLOCK}
        for record in read_metrics(workdir / "metrics.jsonl")
    ]


def assert_same_end(workdir, finished):
    """Two runs have the same weights, averaged weights and metrics, bit for bit."""
    for averaged in (False, True):
        ours, theirs = (weights(run, averaged=averaged) for run in (workdir, finished))
        assert len(ours) > 5
        chex.assert_trees_all_equal(ours, theirs, strict=True)
    assert records(workdir) == records(finished)


def wait_for(condition, process):
    """Waits until something is true of a running process."""
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.001)


def logged(workdir, step):
    """Whether the metrics of a step have been written."""
    path = workdir / "metrics.jsonl"
    return lambda: path.exists() and f'"step": {step},' in path.read_text()


def saving(workdir, step):
    """Whether a checkpoint is being written, or has been."""
    return lambda: any((workdir / "checkpoints").glob(f"{step}*"))


def kill(process):
    """Ends a process that is still running, at once."""
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def stopped_at(errors, name="SIGTERM"):
    """The step that a run saved when a signal asked it to stop."""
    assert "Traceback" not in errors and f"{name}: saved step" in errors, errors
    return int(errors.split(f"{name}: saved step ")[1].split(";")[0])

"""A full disk: one sentence, nothing lost, and the same command goes on once there is room."""

import errno
import resource
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior.errors import InputError
from pixelprior.training.checkpoints import CheckpointError, Checkpoints
from pixelprior.training.events import EventFile
from pixelprior.training.run_folder import RunFolder
from pixelprior.training.step import TrainState
from pixelprior.training.store import FolderStore
from tests.training.restarts import assert_same_end
from tests.training.test_run_folder import CONFIG, DATA

ROOT = Path(__file__).parents[2]


def state(step):
    """A state of 3 MB that does not compress."""
    values = np.random.default_rng(step).random(250_000).astype(np.float32)
    weights = nnx.State({"kernel": nnx.Param(jnp.asarray(values))})
    return TrainState(jnp.int32(step), weights, weights, {"mean": jnp.asarray(values)})


@pytest.fixture
def disk(monkeypatch):
    """The free bytes of the disk."""
    free = [10**9]
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free[0]))
    return free


def test_a_state_that_does_not_fit_is_not_begun(tmp_path, disk):
    with Checkpoints(tmp_path / "checkpoints", warn=print) as checkpoints:
        checkpoints.save(state(3))
        checkpoints.wait()
        # Three arrays of a megabyte, and a quarter for the rest.
        disk[0] = 3_200_000
        with pytest.raises(CheckpointError) as error:
            checkpoints.save(state(6))
        assert str(error.value) == (
            f"a checkpoint cannot be written in {tmp_path}/checkpoints: it needs 3.3 MB, and the "
            "disk has 3.2 MB left; mend this, and run the same command to go on from step 3"
        )
        disk[0] = 3_300_000
        checkpoints.save(state(6))
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["3", "6"]


@pytest.fixture
def small_files():
    """No file may have more than 300 kB, as with a quota that nothing tells in advance."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_halfway(tmp_path, small_files, capfd):
    with Checkpoints(tmp_path / "checkpoints", warn=print) as checkpoints:
        checkpoints.save(state(3))
        checkpoints.wait()
    checkpoints = Checkpoints(tmp_path / "checkpoints", warn=print)
    small_files(300_000)
    with pytest.raises(CheckpointError, match=r"File too large; mend this, .* from step 3$"):
        checkpoints.save(state(6))
        checkpoints.wait()
    checkpoints.close(failed=True)
    small_files(-1)
    # The threads of Orbax are quiet, and what they wrote is gone.
    told = capfd.readouterr()
    assert "Traceback" not in told.err and "Error" not in told.err
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["3"]
    with Checkpoints(tmp_path / "checkpoints", warn=print) as checkpoints:
        checkpoints.save(state(6))
        assert checkpoints.restore_latest(state(0)).step == 6


@pytest.mark.parametrize("method", ["write", "begin"])
def test_records_that_cannot_be_written(tmp_path, monkeypatch, method):
    folder, config = RunFolder(tmp_path / "run"), CONFIG | {"batch_size": 4}
    folder.claim(config, DATA)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with FolderStore(folder, config, report=print) as store:
        if method == "begin":
            monkeypatch.setattr("pixelprior.training.records.EventFile", full)
        else:
            monkeypatch.setattr(EventFile, "write", full)
        with pytest.raises(InputError) as error:
            store.begin(0)
            store.write(1, loss=1.0)
    assert str(error.value) == (
        f"the run folder {folder.path} cannot be written (No space left on device); mend this and "
        "run the same command again, or give another with --workdir"
    )


LIMITED = """
import resource, runpy

resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, resource.RLIM_INFINITY))
runpy.run_path({script!r}, run_name="__main__")
"""


@pytest.mark.slow
def test_a_run_goes_on_once_there_is_room(finished, tmp_path, start, run):
    workdir, script = tmp_path / "run", tmp_path / "limited.py"
    script.write_text(LIMITED.format(script=str(ROOT / "train.py")))
    # Twice: also while the disk is still full.
    for _ in range(2):
        process = start(workdir, script=script)
        _, errors = process.communicate()
        assert process.returncode == 2 and "Traceback" not in errors
        assert "cannot be written" in errors.splitlines()[-1]
        assert "File too large" in errors.splitlines()[-1]
    run(workdir)
    assert_same_end(workdir, finished)

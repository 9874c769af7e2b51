"""Weights & Biases, offline, through train.py: what it is told, and what is refused."""

import os
import struct
import subprocess
import sys

import pytest

from pixelprior.training.metrics import read_metrics
from tests.training.conftest import ROOT
from tests.training.restarts import logged, wait_for

OFFLINE = {"WANDB_MODE": "offline"}
BLOCK, HEADER = 2**15, 7


def sent(path):
    """The records of a file of W&B, whose log is LevelDB's: blocks of pieces."""
    from wandb.proto.wandb_internal_pb2 import Record

    # Before the first piece of the first block stands what kind of file it is.
    data, place, whole = path.read_bytes(), HEADER, b""
    while place + HEADER < len(data):
        if BLOCK - place % BLOCK < HEADER:
            place += BLOCK - place % BLOCK
        _, length, kind = struct.unpack_from("<IHB", data, place)
        whole += data[place + HEADER : place + HEADER + length]
        place += HEADER + length
        # 1 and 4: all of a record, and the last piece of one.
        if kind in (1, 4):
            yield Record.FromString(whole)
            whole = b""


def history(workdir):
    """What was logged, by all processes of a run: by step, the names and their values as JSON."""
    told = {}
    for path in sorted(workdir.glob("wandb/offline-run-*/run-*.wandb")):
        for record in sent(path):
            if record.HasField("history"):
                items = {".".join(i.nested_key): i.value_json for i in record.history.item}
                told.setdefault(int(items["step"]), {}).update(items)
    return told


@pytest.mark.slow
def test_a_run_stopped_and_gone_on_with_is_one_run_with_all_its_records(tmp_path, start, run):
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    workdir = tmp_path / "run"
    process = start(workdir, "--wandb=project", **OFFLINE)
    wait_for(logged(workdir, 5), process)
    process.terminate()
    _, errors = process.communicate()
    assert process.returncode == 143 and "SIGTERM: saved step" in errors, errors
    run(workdir, "--wandb=project", **OFFLINE)
    told = history(workdir)
    for record in read_metrics(workdir / "metrics.jsonl"):
        for key in record.keys() - {"step"}:
            assert float(told[record["step"]][key]) == record[key], key
    assert "samples._type" in told[12] or "samples" in told[12]
    files = list(workdir.glob("wandb/offline-run-*/run-*.wandb"))
    assert len(files) == 2 and len({path.name for path in files}) == 1


def test_without_the_package_nothing_is_begun(tmp_path, config_file):
    # Where it is installed, it is hidden.
    hidden = (
        "import importlib.util as util, runpy, sys; find = util.find_spec; "
        "util.find_spec = lambda name, *rest: None if name == 'wandb' else find(name, *rest); "
        f"sys.argv = sys.argv[1:]; sys.path.insert(0, {str(ROOT)!r}); "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    workdir = tmp_path / "run"
    flags = (f"--config={config_file}", f"--workdir={workdir}", "--wandb=project")
    done = subprocess.run(
        [sys.executable, "-c", hidden, ROOT / "train.py", *flags],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1] == (
        'error: --wandb needs its package: pip install "pixelprior[wandb]"'
    )
    assert not workdir.exists()


@pytest.mark.parametrize("mode", ["online", "onlin"])
def test_without_a_key_and_in_no_such_mode_it_says_how_to_go_on(tmp_path, start, mode):
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    process = start(
        tmp_path / "run", "--wandb=project", HOME=str(tmp_path), WANDB_API_KEY="", WANDB_MODE=mode
    )
    _, errors = process.communicate()
    assert process.returncode == 2
    assert "WANDB_MODE=offline" in errors.splitlines()[-1]
    assert "Traceback" not in errors

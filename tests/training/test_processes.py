"""Several real processes that train together: what they learn, what they write, how they end."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from pixelprior.errors import InputError
from pixelprior.system import processes
from pixelprior.training.metrics import read_metrics
from tests.shared_runs import once
from tests.training.conftest import ROOT
from tests.training.restarts import assert_same_end, logged, saving, stopped_at, wait_for
from tests.training.small_configs import CONFIG, WIDE, write_config
from tests.training.test_layout import OF_THE_MACHINE
from tests.xla_flags import devices, xla_flags

STATED_SECONDS = 60  # docs/devices.md
PATIENCE_SECONDS = 400  # what would otherwise wait for ever is to fail


def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def together(start):
    """Starts one run in several processes."""

    def together(workdir, num, *flags, **settings):
        coordinator = f"--coordinator=localhost:{free_port()}"
        return [
            start(
                workdir,
                *(coordinator, f"--num_processes={num}", f"--process_id={number}"),
                *flags,
                **settings,
            )
            for number in range(num)
        ]

    return together


def ends(processes):
    """The exit status of each process, and what it wrote to standard error."""
    errors = [process.communicate(timeout=PATIENCE_SECONDS)[1] for process in processes]
    return [process.returncode for process in processes], errors


def complete(processes):
    statuses, errors = ends(processes)
    assert statuses == [0] * len(processes), "\n".join(errors)
    return errors


def assert_learned_the_same(workdir, alone):
    """But for times and memory; sums are in another order, through the steps of Adam."""
    one, many = read_metrics(alone / "metrics.jsonl"), read_metrics(workdir / "metrics.jsonl")
    assert len(one) == len(many) > 12
    for a, b in zip(one, many, strict=True):
        assert a.keys() == b.keys()
        for key in a.keys() - {*OF_THE_MACHINE}:
            # A unit at the kink of its relu may have a gradient in one of the runs alone.
            rtol = 2e-3 if key.endswith("_norm") else 1e-4
            np.testing.assert_allclose(b[key], a[key], rtol=rtol, err_msg=key)


@pytest.fixture(scope="module")
def two(tmp_path_factory, together):
    """A run of two processes that nothing interrupted, not to be changed; and what they wrote."""

    def train(folder):
        errors = complete(together(folder / "run", 2))
        (folder / "errors.json").write_text(json.dumps(errors))

    folder = once(tmp_path_factory, "two_processes", train)
    return folder / "run", json.loads((folder / "errors.json").read_text())


@pytest.mark.slow
def test_two_processes_learn_what_one_does(two, finished):
    workdir, _ = two
    assert_learned_the_same(workdir, finished)
    # Samples are drawn from weights that differ by roundings.
    assert {p.relative_to(workdir).parts[0] for p in workdir.rglob("*")} == {
        p.relative_to(finished).parts[0] for p in finished.rglob("*")
    }


@pytest.mark.slow
def test_the_first_one_speaks_and_writes_for_both(two):
    workdir, (first, second) = two
    assert "2 devices of 2 processes" in first and "done: best step" in first
    assert "2 devices" not in second and "done" not in second and "step/s" not in second
    assert len(list((workdir / "events").iterdir())) == 1


@pytest.mark.parametrize(
    ("coordinator", "number", "words"),
    [
        (None, None, "one of several processes needs"),
        ("localhost:1", 2, "counts from 0 to --num_processes - 1, got 2 of 2"),
        ("localhost", 0, "must be HOST:PORT of the first process, got localhost"),
    ],
)
def test_flags_that_make_no_sense_are_refused(coordinator, number, words):
    with pytest.raises(InputError, match=words), processes.joined(coordinator, 2, number):
        pass


def test_a_port_that_is_taken_is_refused():
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        words = f"port {port} of --coordinator cannot be used here"
        with pytest.raises(InputError, match=words), processes.joined(f"localhost:{port}", 2, 0):
            pass


def test_a_first_process_that_does_not_answer_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(processes, "WAIT_SECONDS", 0)
    with (
        pytest.raises(InputError, match=r"does not answer at localhost:\d+ .*--process_id=0"),
        processes.joined(f"localhost:{free_port()}", 2, 1),
    ):
        pass


class Stranger:
    """A service that is not ours: it answers every connection with the same bytes, or none."""

    def __init__(self, answer):
        self._answer, self._open = answer, []
        self._server = socket.create_server(("localhost", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self._open.append(connection)
                # The other side may have left already.
                with contextlib.suppress(OSError):
                    connection.sendall(self._answer)

    def close(self):
        for connection in [self._server, *self._open]:
            connection.close()


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"]
)
def test_something_else_at_the_port_is_refused(answer, monkeypatch):
    monkeypatch.setattr(processes, "ANSWER_SECONDS", 0)
    with contextlib.closing(Stranger(answer)) as stranger:
        words = rf"another service answers at localhost:{stranger.port}, not the first process"
        with (
            pytest.raises(InputError, match=words),
            processes.joined(f"localhost:{stranger.port}", 2, 1),
        ):
            pass


@pytest.mark.release
@pytest.mark.slow
def test_four_processes_with_the_state_in_parts(tmp_path, together, wide):
    errors = complete(together(tmp_path / "run", 4, *WIDE, num_devices=2))
    assert "8 devices of 4 processes" in errors[0]
    assert_learned_the_same(tmp_path / "run", wide)
    whole, part = (
        read_metrics(workdir / "metrics.jsonl")[0]["state_memory_bytes"]
        for workdir in (wide, tmp_path / "run")
    )
    assert part < 0.3 * whole


def as_slurm(start, workdir):
    """Starts two processes that learn of each other from Slurm's variables alone."""
    job = {
        "SLURM_JOB_ID": str(free_port()),  # the port follows from it
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
        "SLURM_STEP_NUM_NODES": "1",
    }
    return [start(workdir, **job, SLURM_PROCID=str(n), SLURM_LOCALID=str(n)) for n in range(2)]


def kill_one(processes, killed, condition):
    """Kills one of two processes, and sees the other one end."""
    wait_for(condition, processes[killed])
    processes[killed].kill()
    begun = time.monotonic()
    statuses, errors = ends(processes)
    assert time.monotonic() - begun < 90
    assert statuses[killed] == -signal.SIGKILL
    # JAX itself ends a process that has lost the first one, if it notices before we do.
    assert statuses[1 - killed] in (1, -signal.SIGABRT)
    assert (
        "If another one has ended, what that one printed says why" in errors[1 - killed]
        or "This most likely indicates that another task died" in errors[1 - killed]
    )


@pytest.mark.slow
def test_killed_then_told_to_stop_then_damaged_it_ends_with_the_same_bits(
    two, tmp_path, together, start
):
    workdir = tmp_path / "run"
    # Before the first checkpoint, and while it is saved; each of the two.
    kill_one(together(workdir, 2), 1, logged(workdir, 2))
    kill_one(together(workdir, 2), 0, saving(workdir, 4))
    # A signal to the one that does not write stops both at the same step.
    processes = as_slurm(start, workdir)
    wait_for(logged(workdir, 5), processes[0])
    processes[1].terminate()
    statuses, errors = ends(processes)
    assert statuses == [143, 143], "\n".join(errors)
    stopped = stopped_at(errors[0])
    assert 5 <= stopped < 12
    # That checkpoint is damaged: both pass it over.
    checksums = workdir / "checkpoints" / str(stopped) / "checksums.json"
    checksums.write_text(json.dumps(dict.fromkeys(json.loads(checksums.read_text()), 0)))
    first, _ = complete(as_slurm(start, workdir))
    assert f"step {stopped}" in first and "passed over" in first
    before = (stopped - 1) // 4 * 4
    assert "2 processes" in first and f"resuming at step {before}" in first
    assert_same_end(workdir, two[0])


@pytest.mark.slow
def test_one_that_hangs_ends_the_others_in_words(tmp_path, together):
    # The first one of one job and the last one of another, since it takes most of a minute.
    jobs = {}
    for hung in (0, 2):
        workdir = tmp_path / str(hung)
        jobs[hung] = together(workdir, 3, "--config.num_steps=100000", "--config.batch_size=6")
    begun = {}
    for hung, job in jobs.items():
        wait_for(logged(tmp_path / str(hung), 2), job[0])
        job[hung].send_signal(signal.SIGSTOP)
        begun[hung] = time.monotonic()
    try:
        for hung, job in jobs.items():
            statuses, errors = ends([process for n, process in enumerate(job) if n != hung])
            assert time.monotonic() - begun[hung] < STATED_SECONDS
            assert statuses == [1, 1], "\n".join(errors)
            for said in errors:
                words = rf"error: process \d of 3 ends, because process {hung} has not"
                assert re.search(words, said)
                assert "Traceback" not in said and "Fatal" not in said and "\tat" not in said
    finally:
        for hung, job in jobs.items():
            job[hung].kill()


@pytest.mark.release
@pytest.mark.slow
def test_one_that_is_stopped_for_a_moment_goes_on(tmp_path, together):
    workdir = tmp_path / "run"
    processes = together(workdir, 2)
    wait_for(logged(workdir, 2), processes[0])
    processes[1].send_signal(signal.SIGSTOP)
    time.sleep(8)
    processes[1].send_signal(signal.SIGCONT)
    complete(processes)


@pytest.mark.release
@pytest.mark.slow
def test_interrupted_by_hand_it_goes_on_in_one_process(tmp_path, together, run, finished):
    workdir = tmp_path / "run"
    processes = together(workdir, 2)
    wait_for(logged(workdir, 5), processes[0])
    processes[1].send_signal(signal.SIGINT)
    statuses, errors = ends(processes)
    assert statuses == [130, 130], "\n".join(errors)
    stopped = stopped_at(errors[0], "SIGINT")
    assert 5 <= stopped < 12
    assert f"resuming at step {stopped}" in run(workdir)
    assert_learned_the_same(workdir, finished)


@pytest.mark.slow
def test_configs_that_differ_are_refused_by_both(tmp_path, start):
    coordinator = f"--coordinator=localhost:{free_port()}"
    processes = [
        start(
            tmp_path / "run",
            *(
                coordinator,
                "--num_processes=2",
                f"--process_id={number}",
                f"--config.seed={number}",
            ),
        )
        for number in range(2)
    ]
    statuses, (first, second) = ends(processes)
    assert statuses == [2, 2]
    for errors in (first, second):
        assert "the processes of this job have different configs" in errors
        assert "Traceback" not in errors
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_tokenizer_and_then_a_prior(tmp_path, together, task_flags, tokenizer, prior):
    complete(together(tmp_path / "tokenizer2", 2, task_flags["tokenizer"]))
    assert_learned_the_same(tmp_path / "tokenizer2", tokenizer)
    given = shutil.copytree(tokenizer, tmp_path / "tokenizer")
    tokenizer_flag = f"--tokenizer={given}"
    # One of them makes the codes, on both of its devices.
    flags = (task_flags["prior"], tokenizer_flag)
    first, second = complete(together(tmp_path / "prior2", 2, *flags, num_devices=2))
    assert "encoding digits" in first and "encoding" not in second
    ours, theirs = (
        {path.relative_to(run): path.read_bytes() for path in run.glob("codes/*/*")}
        for run in (given, prior.with_name("tokenizer"))
    )
    assert ours == theirs and ours
    assert_learned_the_same(tmp_path / "prior2", prior)


@pytest.mark.release
@pytest.mark.slow
def test_a_list_of_runs(tmp_path, together, fifty_steps, wide):
    # The first of them is long enough to tell whether two processes drift from one.
    fifty = {"num_steps": 50, "checkpoint_every": 25, "sample_every": 50}
    model = CONFIG["model"] | {"features": 16}
    runs = {"a": CONFIG | fifty, "b": {**CONFIG, "mesh": "fsdp", "model": model}}
    flag = f"--config={write_config(tmp_path, {'task': 'compare', 'runs': runs})}"
    first, _ = complete(together(tmp_path / "two", 2, flag))
    assert "a, run 1 of 2" in first and "b, run 2 of 2" in first
    for name, alone in (("a", fifty_steps), ("b", wide)):
        assert_learned_the_same(tmp_path / "two" / name, alone)


PROGRAM = """
import pathlib, re, sys, time
import jax, numpy as np
from pixelprior.errors import InputError
from pixelprior.runs.train import plan_run, train_run
from pixelprior.system.devices import data_mesh, on_this_process, put_batch, rows_here, to_host
from pixelprior.system.processes import all_agree, from_first, is_first, joined, largest
from tests.training.small_configs import CONFIG, PRIOR

number, folder = int(sys.argv[1]), pathlib.Path(sys.argv[3])

def refused(words, *arguments, **settings):
    try:
        train_run(*arguments, **settings)
    except InputError as error:
        assert re.search(words, str(error)), error
    else:
        raise AssertionError("it was not refused")

with joined(sys.argv[2], 2, number):
    mesh = data_mesh()
    # Also where a process's devices do not lie side by side.
    mixed = jax.sharding.Mesh(np.array(jax.devices())[[0, 2, 1, 3]], ("data",))
    for mesh in (mesh, mixed):
        rows = rows_here(8, mesh)
        assert len(rows) == 4, rows
        batch = put_batch({"x": 10 * np.arange(8)[rows]}, mesh)
        assert batch["x"].shape == (8,)
        np.testing.assert_array_equal(to_host(batch)["x"], 10 * np.arange(8))
        np.testing.assert_array_equal(on_this_process(batch)["x"], 10 * np.arange(8))
        assert len(on_this_process(batch)["x"].sharding.device_set) == 1
    assert int(largest(number + 3)) == 4
    assert all_agree(True) and not all_agree(number == 1)
    np.testing.assert_array_equal(from_first(np.full(3, number)), [0, 0, 0])
    # Where one refuses, both do, and can go on.
    others = ["another process cannot continue", "a file system that all processes share"]
    refused(others[number], CONFIG, folder / str(number))
    refused("none is not a run folder", PRIOR, folder / "prior", tokenizer=folder / "none")
    assert not (folder / "prior").exists()
    # A plan counts the devices of all.
    assert "4 devices" in plan_run(CONFIG).words()
    if is_first():
        # As if it prepared a data set: longer than JAX waits for it by itself.
        time.sleep(32)
    assert all_agree(True)
"""


@pytest.mark.release
@pytest.mark.slow
def test_each_does_its_part_and_one_that_takes_long_is_waited_for(tmp_path):
    complete(scripts(PROGRAM, tmp_path, **xla_flags(devices(2))))


def scripts(program, folder, **variables):
    """Starts a program in two processes, which are told who they are and where they meet."""
    coordinator = f"localhost:{free_port()}"
    return [
        subprocess.Popen(
            [sys.executable, "-c", program, str(number), coordinator, str(folder)],
            cwd=ROOT,
            env={**os.environ, **variables},
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]

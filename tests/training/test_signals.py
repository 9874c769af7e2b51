"""Signals while a run steps, validates and draws; missing pictures; two jobs at once."""

import re
import signal
import time
from pathlib import Path

import pytest

from pixelprior.training.metrics import read_metrics
from tests.release import slow_cases
from tests.training.restarts import assert_same_end, kill, logged, records, wait_for

# The real script, but that validating or drawing takes long: it waits, and looks for signals.
SLOW = """
import runpy, time
from pathlib import Path
from pixelprior.training.tasks import PixelTask

original = PixelTask.{kind}


def slow(self, *arguments):
    watch = arguments[-1]
    if not Path({mark!r}).exists():
        Path({mark!r}).touch()
        for _ in range(6000):
            time.sleep(0.01)
            watch()
    return original(self, *arguments)


PixelTask.{kind} = slow
runpy.run_path({script!r}, run_name="__main__")
"""
ROOT = Path(__file__).parents[2]


@pytest.fixture
def start_slow(tmp_path, start):
    """Starts a run that takes long at one of its measurements; the file says when it has begun."""

    def start_slow(workdir, kind):
        script, mark = tmp_path / "slow.py", tmp_path / "mark"
        text = SLOW.format(kind=kind, mark=str(mark), script=str(ROOT / "train.py"))
        script.write_text(text)
        process = start(workdir, script=script)
        wait_for(mark.exists, process)
        return process

    return start_slow


def steps_saved(workdir):
    return sorted(int(p.name) for p in (workdir / "checkpoints").iterdir() if p.name.isdigit())


@pytest.mark.slow
def test_sigusr1_saves_and_the_run_goes_on(finished, tmp_path, start):
    workdir = tmp_path / "run"
    process = start(workdir)
    wait_for(logged(workdir, 1), process)
    process.send_signal(signal.SIGUSR1)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    (step,) = map(int, re.findall(r"SIGUSR1: saved step (\d+)", errors))
    assert 1 <= step <= 12 and "Traceback" not in errors
    assert_same_end(workdir, finished)


@pytest.mark.parametrize("name", slow_cases(["SIGTERM", "SIGINT"], "SIGTERM"))
@pytest.mark.parametrize("kind", ["evaluate", "picture"])
def test_a_signal_while_a_saved_state_is_measured(finished, tmp_path, start_slow, run, kind, name):
    workdir = tmp_path / "run"
    process = start_slow(workdir, kind)
    process.send_signal(getattr(signal, name))
    begun = time.monotonic()
    _, errors = process.communicate()
    # It did not wait for the end of the validation or the picture.
    assert time.monotonic() - begun < 40
    assert process.returncode == 128 + getattr(signal, name), errors
    step = 4 if kind == "evaluate" else 12
    assert f"{name}: saved step {step}" in errors and "Traceback" not in errors
    assert steps_saved(workdir)[-1] == step
    if kind == "evaluate":
        assert not any("validation_loss" in r for r in read_metrics(workdir / "metrics.jsonl"))
    # What is missing is made when the run goes on.
    run(workdir)
    assert_same_end(workdir, finished)
    assert (workdir / "samples" / "step_0000012.png").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["evaluate", "picture"])
def test_killed_while_a_saved_state_is_measured(finished, tmp_path, start_slow, run, kind):
    workdir = tmp_path / "run"
    process = start_slow(workdir, kind)
    # The state was saved before.
    step = 4 if kind == "evaluate" else 12
    wait_for(lambda: step in steps_saved(workdir), process)
    kill(process)
    assert f"resuming at step {step}" in run(workdir)
    assert_same_end(workdir, finished)
    assert (workdir / "samples" / "step_0000012.png").is_file()


@pytest.mark.slow
def test_a_picture_that_cannot_be_written_is_a_warning(finished, tmp_path, run):
    workdir = tmp_path / "run"
    (workdir / "samples" / "step_0000012.png").mkdir(parents=True)
    errors = run(workdir)
    (line,) = [line for line in errors.splitlines() if "the picture" in line]
    assert "warning: the picture of step 12 is missing: " in line and "Is a directory" in line
    assert_same_end(workdir, finished)


@pytest.mark.slow
def test_of_two_jobs_one_trains(finished, tmp_path, start):
    workdir = tmp_path / "run"
    both = [start(workdir) for _ in range(2)]
    errors = [process.communicate()[1] for process in both]
    done = sorted(zip([process.returncode for process in both], errors, strict=True))
    # Or the first was complete before the second began.
    assert [status for status, _ in done] in ([0, 2], [0, 0]), errors
    for status, text in done:
        assert "Traceback" not in text
        if status:
            assert re.search(r"error: .*run is in use by process \d+ on ", text.splitlines()[-1])
    assert records(workdir) == records(finished)
    assert_same_end(workdir, finished)
    assert not (workdir / ".lock").exists()

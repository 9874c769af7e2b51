"""Runs of every task that are killed at random moments, again and again, until they end.

Half of the kills wait for a phase, since a run spends most of its time with its first steps.

Each must end like the run that nobody killed, and leave nothing behind. The number of kills is in
the variable PIXELPRIOR_KILLS, a few by default:

    PIXELPRIOR_KILLS=100 python -m pytest tests/training/test_kills.py -m slow -s
"""

import os
import random
import shutil
import signal
import time
from collections import Counter

import pytest

from tests.release import slow_cases
from tests.training.restarts import assert_same_end

KILLS = int(os.environ.get("PIXELPRIOR_KILLS", "9"))
TASKS = ("pixels", "tokenizer", "prior")
SOUGHT = ("saving", "validating", "drawing", "stepping")


def pictures(workdir):
    return sorted(path.name for path in (workdir / "samples").iterdir())


def left_over(folder):
    """Files that only a process that was killed leaves behind."""
    return [
        path
        for path in folder.rglob("*")
        if path.name.startswith(".") or "tmp" in path.name or "unfinished" in path.name
    ]


def phase(workdir, given):
    """What a run was doing when it was killed, as far as its folder tells."""
    steps = list((workdir / "checkpoints").glob("*"))
    if given is not None and not (given / "codes").is_dir():
        return "before codes"
    if given is not None and not (workdir / "tokenizer").is_dir():
        return "making codes"
    if not (workdir / "metrics.jsonl").exists():
        return "starting"
    if any("tmp" in path.name for path in steps):
        return "saving"
    unrated = [path for path in steps if not (path / "metrics").exists()]
    if unrated:
        return "validating"
    if steps and not pictures(workdir) and any(path.name == "12" for path in steps):
        return "drawing"
    return "stepping" if steps else "first steps"


@pytest.mark.parametrize("task", slow_cases(TASKS, "pixels"))
def test_killed_at_random_moments(
    request, finished, tokenizer, prior, tmp_path, start, task_flags, task
):
    reference = {"pixels": finished, "tokenizer": tokenizer, "prior": prior}[task]
    rng = random.Random(os.environ.get("PIXELPRIOR_KILLS_SEED", task))
    wanted = (KILLS + TASKS.index(task)) // len(TASKS)
    kills, ended, phases, longest = 0, 0, Counter(), 3.0
    while kills < wanted:
        workdir, given, flags = tmp_path / f"run{ended}", None, ()
        if task != "pixels":
            flags = (task_flags[task],)
        if task == "prior":
            # Its codes are made anew, and killed too.
            given = shutil.copytree(tokenizer, tmp_path / f"tokenizer{ended}")
            shutil.rmtree(given / "codes", ignore_errors=True)
            flags += (f"--tokenizer={given}",)
        while True:
            begun, moment = time.monotonic(), rng.random() * longest
            sought = rng.choice((*SOUGHT, *["any moment"] * len(SOUGHT)))
            process = start(workdir, *flags)
            last = kills >= wanted
            while process.poll() is None:
                if not last and sought == "any moment" and time.monotonic() - begun > moment:
                    break
                if not last and sought == phase(workdir, given):
                    time.sleep(0.05 * rng.random())
                    break
                time.sleep(0.001)
            if process.poll() is None:
                # Some are asked first, and killed while they do it.
                if rng.random() < 0.3:
                    process.send_signal(rng.choice((signal.SIGTERM, signal.SIGUSR1)))
                    time.sleep(rng.random() * 0.3)
                phases[phase(workdir, given)] += 1
                kills += 1
                process.kill()
            _, errors = process.communicate()
            assert "Traceback" not in errors, errors
            if process.returncode == 0:
                longest = max(longest, time.monotonic() - begun)
                break
            # The last two: a process that has not begun to look for signals.
            assert process.returncode in (
                -signal.SIGKILL,
                143,
                -signal.SIGTERM,
                -signal.SIGUSR1,
            ), errors
        ended += 1
        assert_same_end(workdir, reference)
        assert pictures(workdir) == pictures(reference)
        assert left_over(workdir) == []
        if given is not None:
            assert left_over(given) == []
    print(f"\n{task}: {kills} kills, {ended} runs ended with equal weights; {dict(phases)}")

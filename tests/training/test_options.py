"""What a config can ask of training, by the real train.py: taken, recorded, and resumed exactly."""

import gzip
import json
import signal

import numpy as np
import pytest

from pixelprior.training.metrics import read_metrics
from tests.training.restarts import assert_same_end, logged, records, wait_for

pytestmark = pytest.mark.slow


def flags(options):
    return [f"--config.{key}={value}" for key, value in options.items()]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(
            {"optimizer": "muon", "schedule": "linear", "accumulate_steps": 2},
            marks=pytest.mark.release,
        ),
        {
            "optimizer": "lion",
            "schedule": "inverse_sqrt",
            "learning_rate": 1e-3,
            "skip_norm": 0.875,
            "patience": 2,
            "checkpoint_every": 3,
        },
        # Nothing is learned, so losses go up as often as down.
        {
            "optimizer": "adamax",
            "schedule": "plateau",
            "checkpoint_every": 2,
            "plateau_patience": 1,
            "learning_rate": 1e-30,
        },
    ],
    ids=lambda options: options["optimizer"],
)
def test_a_run_that_was_stopped_ends_with_the_same_bits(tmp_path, start, run, options):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(whole, *flags(options))
    process = start(broken, *flags(options))
    wait_for(logged(broken, 7), process)
    process.terminate()
    _, errors = process.communicate()
    assert process.returncode in (143, -signal.SIGTERM), errors
    run(broken, *flags(options))
    assert_same_end(broken, whole)
    told = records(whole)
    if "skip_norm" in options:
        skipped = [r["skipped_steps"] for r in told if "skipped_steps" in r]
        norms = [r["gradient_norm"] for r in told if "gradient_norm" in r]
        assert skipped == [int(norm > 0.875) for norm in norms] and len(set(skipped)) == 2
    if options["schedule"] == "plateau":
        rates = [record["learning_rate"] for record in told if "learning_rate" in record]
        np.testing.assert_allclose(rates[:2], [0, 5e-31])  # warm-up
        halvings = -np.log2(np.array(rates[2:]) / 1e-30)
        np.testing.assert_allclose(halvings, np.round(halvings), atol=1e-6)
        assert (np.diff(halvings) >= 0).all() and halvings[-1] > 0


def test_a_run_ends_early_when_it_gets_no_better(tmp_path, run):
    workdir = tmp_path / "run"
    # So small a learning rate that nothing changes.
    options = flags({"patience": 1, "learning_rate": 1e-30})
    errors = run(workdir, *options)
    assert "step 8: the last, with none better in the last 1 validations" in errors
    told = read_metrics(workdir / "metrics.jsonl")
    assert [r["step"] for r in told if "validation_loss" in r] == [4, 8]
    assert told[-1]["step"] == 8 and told[-1]["best_step"] in (4, 8)
    assert (workdir / "samples" / "step_0000008.png").exists()
    before = (workdir / "metrics.jsonl").read_text()
    # Run again it takes no step.
    assert "resuming at step 8" in run(workdir, *options)
    assert (workdir / "metrics.jsonl").read_text() == before


def test_a_profile_of_some_steps(tmp_path, run):
    workdir = tmp_path / "run"
    assert f"profile: a trace lies in {workdir / 'profile'}" in run(workdir, "--profile=3:5")
    (trace,) = (workdir / "profile").rglob("perfetto_trace.json.gz")
    events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    assert any("jit(step)" in event.get("name", "") for event in events)
    # Of a run that is past these steps there is none, which is not kept silent.
    assert "warning: no profile was made" in run(workdir, "--profile=3:5")


def test_a_profile_that_there_cannot_be(tmp_path, start):
    for text in ("5", "5:5", "7:3", "a:b"):
        process = start(tmp_path / "run", f"--profile={text}")
        _, errors = process.communicate()
        assert process.returncode == 2 and "expected START:STOP" in errors
    assert not (tmp_path / "run").exists()

"""Fine-tuning from the command line."""

import shutil

import pytest

from pixelprior.training.metrics import read_metrics
from tests.cli.calls import assert_one_sentence
from tests.cli.conftest import ROOT, TINY

DIGITS = f"--config={ROOT / 'configs' / 'digits.py'}"
# So small a rate that no float32 weight moves.
STILL = ("--config.learning_rate=1e-30", "--config.weight_decay=0")


@pytest.mark.slow
def test_a_new_run_starts_from_the_weights_of_another(script, digits, tmp_path):
    source, run = tmp_path / "source", tmp_path / "run"
    shutil.copytree(digits, source)
    flags = (DIGITS, f"--workdir={run}", f"--init_from={source}", *TINY, *STILL)
    flags += ("--config.class_conditional=True", "--config.label_dropout=0.1")
    result = script("train", *flags)
    assert result.status == 0, result.errors
    assert f"initial weights from {source}, averaged weights of step" in result.errors
    # 10 classes of 4 features each, and the null class.
    assert "label table: 40 of 44 taken; no row in the source for the null class" in result.errors
    losses = [
        {
            r["validation_loss"]
            for r in read_metrics(run_ / "metrics.jsonl")
            if "validation_loss" in r
        }
        for run_ in (source, run)
    ]
    assert losses[1] == {min(losses[0])}
    # Once there is a checkpoint, the source may be gone.
    shutil.rmtree(source)
    result = script("train", *flags)
    assert result.status == 0, result.errors
    assert f"{run} has a checkpoint, so --init_from has no effect" in result.errors


def test_a_source_that_is_not_there(script, tmp_path):
    flags = (DIGITS, f"--workdir={tmp_path / 'run'}", f"--init_from={tmp_path / 'nowhere'}", *TINY)
    assert_one_sentence(script("train", *flags), "nowhere is not a run folder")
    assert not any(tmp_path.iterdir())

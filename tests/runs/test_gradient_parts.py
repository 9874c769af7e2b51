"""The number of parts of a gradient: chosen for a new run, recorded, and kept when it resumes."""

import json

import pytest

from pixelprior.progress import Message
from pixelprior.runs import gradient_parts
from pixelprior.runs.train import plan_run, train_run
from tests.training.small_configs import CONFIG

PARTS = 4


@pytest.fixture
def chosen(monkeypatch):
    """Let the choice be a number of parts that this small network does not need."""
    calls = []

    def choose(*arguments):
        calls.append(arguments)
        return PARTS

    monkeypatch.setattr(gradient_parts, "choose_parts", choose)
    return calls


def config(**settings):
    return CONFIG | {"accumulate_steps": 0, "num_steps": 2, "checkpoint_every": 1} | settings


def recorded(folder):
    return json.loads((folder / "config.json").read_text())["accumulate_steps"]


@pytest.mark.slow
def test_a_new_run_records_the_choice_and_a_resumed_run_keeps_it(tmp_path, chosen, monkeypatch):
    train_run(config(), tmp_path)
    assert recorded(tmp_path) == PARTS
    # As on another kind of device, where the choice would be another.
    monkeypatch.setattr(gradient_parts, "choose_parts", lambda *_: 1)
    events = []
    train_run(config(num_steps=3), tmp_path, report=events.append)
    assert recorded(tmp_path) == PARTS
    assert not [e for e in events if isinstance(e, Message) and "accumulate_steps" in e.text]
    # By hand it may change, and the change is told.
    train_run(config(num_steps=4, accumulate_steps=2), tmp_path, report=events.append)
    assert recorded(tmp_path) == 2
    assert [e for e in events if isinstance(e, Message) and "accumulate_steps" in e.text]
    # Two parts do not divide a batch of 15, and the number is chosen anew.
    train_run(config(num_steps=5, batch_size=15), tmp_path)
    assert recorded(tmp_path) == 1


@pytest.mark.slow
def test_a_number_given_by_hand_is_kept(chosen):
    plan_run(config(accumulate_steps=2))
    assert not chosen
    plan_run(config())
    assert len(chosen) == 1

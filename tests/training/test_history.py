"""The history of a run: which batch size each step had, and which images it has seen."""

import datetime
import json
import platform
import random
import re

import pytest

from pixelprior.errors import InputError
from pixelprior.experiment.differences import Change
from pixelprior.system.command import in_command
from pixelprior.training.history import History, read_history, surroundings, write_history


def resumed(history, step, old, new):
    return history.resumed(step, {"batch_size": Change(old, new)})


def test_a_run_that_never_changed():
    history = History().resumed(0, {})
    assert [entry["step"] for entry in history.entries] == [0]
    assert history.surroundings == surroundings()
    assert history.surroundings["versions"].keys() >= {"pixelprior", "jax", "flax"}
    assert history.position(7, 16) == (7, 112)
    assert history.resumed(7, {}).entries == history.entries
    # The folders of 0.1.0 have no history.
    assert History().position(3, 5) == (3, 15)


def test_each_entry_says_when_and_how_it_was_started():
    with in_command(["train.py", "--config=digits"]):
        first = History().resumed(0, {})
    assert first.started["command"] == "python train.py --config=digits"
    assert first.started["date"] == datetime.date.today().isoformat()
    assert first.started["python"] == platform.python_version()
    assert re.fullmatch(r".+, \d+ cores?", first.started["machine"])
    # Another command alone is no change, and another config is one.
    with in_command(["train.py", "--workdir=a"]):
        assert first.resumed(5, {}).entries == first.entries
        changed = resumed(first, 5, 4, 8)
    assert changed.started["command"] == "python train.py --workdir=a"
    assert History().started == {}


def test_older_histories_have_no_start(tmp_path):
    path = tmp_path / "config_history.json"
    write_history(path, History().resumed(0, {}))
    (entry,) = json.loads(path.read_text())
    del entry["started"]
    path.write_text(json.dumps([entry]))
    assert read_history(path).started == {}
    path.write_text(json.dumps([{**entry, "started": {"date": 3}}]))
    with pytest.raises(InputError, match=r"config_history.json cannot be read"):
        read_history(path)


def test_by_hand():
    # 10 steps of 4, then 5 of 8, then of 2.
    history = resumed(resumed(History(), 10, 4, 8), 15, 8, 2)
    assert [history.position(step, 2).examples for step in (9, 10, 11, 15, 16)] == [
        36,
        40,
        48,
        80,
        82,
    ]
    assert [history.value_at("batch_size", step, 2) for step in (1, 10, 11, 15, 16)] == [
        4,
        4,
        8,
        8,
        2,
    ]
    # The latest checkpoint was damaged, so steps after 12 are taken again: with 2, as asked last.
    again = history.resumed(12, {})
    assert [again.position(step, 2).examples for step in (10, 12, 13)] == [40, 56, 58]
    # Changed twice before a step was taken.
    twice = resumed(history, 15, 2, 32)
    assert twice.position(16, 32).examples == 80 + 32
    # The config was not replaced after its history was written, and the change was taken back.
    back = resumed(resumed(History(), 10, 4, 8), 20, 4, 6)
    assert back.position(21, 6).examples == 20 * 4 + 6


@pytest.mark.parametrize("seed", range(20))
def test_any_history_against_a_list_of_steps(seed):
    rng = random.Random(seed)
    sizes, now, history = [], rng.randrange(1, 9), History()
    for _ in range(rng.randrange(1, 8)):
        # Resumed from a checkpoint at any earlier step, perhaps with another size.
        step = rng.randrange(len(sizes) + 1)
        del sizes[step:]
        new = rng.randrange(1, 9)
        changes = {} if new == now else {"batch_size": Change(now, new)}
        history, now = history.resumed(step, changes), new
        assert history.position(step, now).examples == sum(sizes)
        sizes += [now] * rng.randrange(6)
    for step in range(len(sizes) + 1):
        assert history.position(step, now) == (step, sum(sizes[:step]))
        if step:
            assert history.value_at("batch_size", step, now) == sizes[step - 1]


def test_it_is_read_back(tmp_path):
    path = tmp_path / "config_history.json"
    assert read_history(path).entries == ()
    history = resumed(History().resumed(0, {}, {"from": "a run"}), 3, 4, 8)
    write_history(path, history)
    assert read_history(path).entries == history.entries
    assert json.loads(path.read_text())[0]["origin"] == {"from": "a run"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}x",
        "3",
        "[3]",
        '[{"step": -1, "changes": {}, "surroundings": {}}]',
        '[{"step": "1", "changes": {}, "surroundings": {}}]',
        '[{"step": 1, "changes": {"batch_size": ["a", 1]}, "surroundings": {}}]',
        '[{"step": 1, "changes": 3, "surroundings": {}}]',
        '[{"step": 1, "changes": {}}]',
    ],
)
def test_a_damaged_history_is_named(tmp_path, text):
    path = tmp_path / "config_history.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"config_history.json cannot be read"):
        read_history(path)

"""A resumed run with other settings: what may change, what is said, and what it trains on."""

import itertools
import json
import shutil

import numpy as np
import pytest

from pixelprior.data import Symbols, open_dataset, training_batches
from pixelprior.data.order import ORDER
from pixelprior.errors import InputError
from pixelprior.progress import Message
from pixelprior.runs.train import train_run
from pixelprior.runs.train_list import train_list
from pixelprior.training.metrics import read_metrics
from pixelprior.training.run_folder import RunFolder
from pixelprior.training.tasks import PixelTask
from tests.training.restarts import assert_same_end, kill, logged, records, saving, wait_for
from tests.training.small_configs import CONFIG

LONGER = {"num_steps": 20, "batch_size": 8, "checkpoint_every": 4, "ema_decay": 0.8}
FLAGS = [f"--config.{key}={value}" for key, value in LONGER.items()]


@pytest.fixture
def workdir(finished, tmp_path):
    """A copy of a run of 12 steps."""
    return shutil.copytree(finished, tmp_path / "run")


def train(workdir, **changes):
    """Resumes the run with some changes; returns the result and the messages."""
    events = []
    config = CONFIG | {"model": dict(CONFIG["model"])}
    for key, value in changes.items():
        where = config
        *path, name = key.split("__")
        for part in path:
            where = where[part]
        where[name] = value
    result = train_run(config, workdir, report=events.append)
    return result, [event.text for event in events if isinstance(event, Message)]


@pytest.mark.slow
def test_a_complete_run_is_trained_longer(workdir):
    result, said = train(workdir, num_steps=16, log_every=2)
    assert result.step == 16 and result.test is not None
    assert "resuming at step 12" in said
    # An operational key is not worth a word.
    assert "changed from step 12 on: num_steps 12 -> 16" in said
    # Cosine after 2 steps of warm-up: 10 of 14 falling steps are done, and the rate was 0.
    rate = 1e-2 * (1 + np.cos(np.pi * 10 / 14)) / 2
    assert (
        f"the learning rate of the next step is {rate:.3g}, by the schedule 'cosine' over 16 "
        "steps; without the changes it would have been 0"
    ) in said
    steps = [record["step"] for record in read_metrics(workdir / "metrics.jsonl")]
    assert steps == [0, *sorted([*range(1, 13), 4, 8, 12]), 14, 16, 16, 16]
    changed = RunFolder(workdir).history().entries[-1]
    assert (changed["step"], changed["changes"]) == (12, {"num_steps": [12, 16]})
    assert RunFolder(workdir).config()["log_every"] == 2


def test_every_image_is_seen_once_in_an_epoch_of_two_batch_sizes(workdir):
    train(workdir, num_steps=16, batch_size=8)
    history = RunFolder(workdir).history()
    assert history.position(12, 8).examples == 12 * 16
    split = open_dataset("digits").splits["train"]
    seen = []
    for start, stop, size in ((0, 12, 16), (12, 150, 8)):
        batches = training_batches(
            split,
            Symbols(17, "none"),
            batch_size=size,
            seed=0,
            start=history.position(start, 8),
        )
        for batch in itertools.islice(batches, stop - start):
            seen += [image.tobytes() for image in batch["image"]]
    epoch = seen[: len(split)]
    images, _ = split.source.read(np.arange(len(split)))
    assert sorted(epoch) == sorted(image.astype(np.int32).tobytes() for image in images)


@pytest.mark.slow
def test_a_run_goes_on_with_the_image_after_the_last_one(workdir, monkeypatch):
    given, batches = [], PixelTask.batches

    def recorded(self, start):
        for batch in batches(self, start):
            given.append(batch["image"])
            yield batch

    monkeypatch.setattr(PixelTask, "batches", recorded)
    train(workdir, num_steps=14, batch_size=8)
    split = open_dataset("digits").splits["train"]
    # Twelve batches of sixteen images before, in the order of the first epoch.
    order = np.random.default_rng([0, ORDER, 0]).permutation(len(split))
    for step in range(2):
        expected, _ = split.source.read(order[192 + 8 * step :][:8])
        np.testing.assert_array_equal(given[step], expected)


@pytest.mark.slow
def test_a_run_without_a_checkpoint_becomes_another(workdir, finished):
    shutil.rmtree(workdir / "checkpoints")
    result, said = train(workdir, seed=1, num_steps=4)
    assert result.step == 4 and any("are now in" in text for text in said)
    before = records(workdir / "set_aside" / "0")
    assert before == records(finished) and records(workdir)[-1]["step"] == 4
    assert RunFolder(workdir).config()["seed"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"optimizer": "adamax"}, {"schedule": "plateau"}])
def test_another_optimizer_starts_fresh(workdir, changes):
    result, said = train(workdir, num_steps=13, **changes)
    assert result.step == 13
    assert "the state of the earlier optimizer does not fit; it starts fresh" in said
    # Its learning rate does not start again from the warm-up.
    last = [r for r in read_metrics(workdir / "metrics.jsonl") if "learning_rate" in r][-1]
    falling = 1e-2 * (1 + np.cos(np.pi * 10 / 11)) / 2
    expected = 1e-2 if "schedule" in changes else falling
    assert last["learning_rate"] == pytest.approx(expected, rel=1e-5)
    # It has its own state from now on.
    assert train(workdir, num_steps=13, **changes)[1][1] == "resuming at step 13"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 1}, "seed: 0 there, 1 now"),
        ({"model__features": 8}, "model.features: 4 there, 8 now"),
        ({"levels": 2, "num_steps": 50}, "levels: 17 there, 2 now"),
        ({"class_conditional": True, "label_dropout": 0.1}, "label_dropout: 0.0 there, 0.1 now"),
    ],
)
def test_the_identity_of_a_run_never_changes(workdir, changes, named):
    before = (workdir / "config.json").read_bytes()
    with pytest.raises(InputError, match="these keys never change") as error:
        train(workdir, **changes)
    assert named in str(error.value) and "num_steps" not in str(error.value)
    assert (workdir / "config.json").read_bytes() == before
    assert not (workdir / ".lock").exists()


def test_harmless_changes_change_no_weight(workdir, finished):
    shutil.rmtree(workdir / "checkpoints" / "12")
    _, said = train(workdir, log_every=1, sample_every=5, num_samples=3, model__remat=True)
    assert not any("changed" in text for text in said)
    assert_same_end(workdir, finished)


@pytest.mark.slow
def test_patience_counts_losses_from_before(workdir):
    result, _ = train(workdir, num_steps=100, learning_rate=1e-30, patience=1, ema_decay=0.0)
    # Nothing is learned any more. The weights at 16 may be better than the average at 12.
    assert result.test is not None and result.step in (16, 20)


@pytest.mark.slow
def test_fewer_steps_than_taken_end_the_run(workdir):
    result, said = train(workdir, num_steps=6)
    assert result.step == 12 and result.test is not None
    assert "changed from step 12 on: num_steps 12 -> 6" in said


@pytest.mark.release
@pytest.mark.slow
def test_a_complete_run_of_a_list_is_trained_longer(tmp_path):
    config = {"task": "compare", "runs": {"a": CONFIG | {"num_steps": 4}}}
    train_list(config, tmp_path)
    config["runs"]["a"] = CONFIG | {"num_steps": 6, "warmup_steps": 1}
    train_list(config, tmp_path)
    assert records(tmp_path / "a")[-1]["step"] == 6


@pytest.mark.release
@pytest.mark.slow
def test_a_run_of_several_starts_knows_where_each_began(workdir):
    train(workdir, num_steps=14, batch_size=8)
    train(workdir, num_steps=16, batch_size=32)
    history = RunFolder(workdir).history()
    assert history.position(16, 32).examples == 12 * 16 + 2 * 8 + 2 * 32
    assert [entry["step"] for entry in history.entries] == [0, 12, 14]
    assert json.loads((workdir / "config.json").read_text())["batch_size"] == 32


@pytest.mark.release
@pytest.mark.slow
def test_killed_after_a_change_it_ends_with_the_same_bits(finished, tmp_path, start, run):
    whole, killed = (shutil.copytree(finished, tmp_path / name) for name in ("whole", "killed"))
    run(whole, *FLAGS)
    for condition in (logged(killed, 13), saving(killed, 16), logged(killed, 18)):
        process = start(killed, *FLAGS)
        wait_for(condition, process)
        kill(process)
    run(killed, *FLAGS)
    assert_same_end(killed, whole)
    # Each start has its own time and command.
    first, second = (
        [{key: entry[key] for key in entry.keys() - {"started"}} for entry in entries]
        for entries in (RunFolder(folder).history().entries for folder in (killed, whole))
    )
    assert first == second and len(first) == 2

"""What a prior needs of a tokenizer's run: fingerprint, codes, and a copy that is whole."""

import json
import os
import shutil

import chex
import numpy as np
import pytest
from PIL import Image

from pixelprior.data import open_dataset
from pixelprior.errors import InputError
from pixelprior.runs.load import load_trained
from pixelprior.runs.tokenizer import carry, make_codes, open_tokenizer_run
from pixelprior.runs.train import train_run
from pixelprior.training.checkpoints import Checkpoints
from tests.cli.calls import jitted
from tests.plain_training import PLAIN_TRAINING
from tests.system.leftovers import leftover
from tests.training.small_configs import DATA

# Real runs, that take minutes to prepare.
pytestmark = pytest.mark.slow

COUNT = 300  # more than are encoded at once


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Images in two classes."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for n in range(COUNT):
        path = folder / ("cat", "dog")[n % 2] / f"{n:03d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (4, 8), np.uint8)).save(path)
    return folder


def config_of(images, **changes):
    return {
        "task": "tokenizer",
        **DATA,
        "dataset": f"folder:{images}",
        "levels": 256,
        "tokenizer": {
            "name": "vqvae2",
            "strides": (2, 2),
            "features": 2,
            "residual_features": 1,
            "num_residual_blocks": 1,
        },
        "quantizer": {
            "name": "vector",
            "features": 2,
            "codebook_size": 8,
            "num_codebooks": 2,
            "k_means_iterations": 1,
        },
        "batch_size": 16,
        "num_steps": 2,
        "learning_rate": 1e-3,
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "clip_norm": 1.0,
        "ema_decay": 0.9,
        "log_every": 2,
        "checkpoint_every": 1,
        "sample_every": 2,
        "num_samples": 1,
        **PLAIN_TRAINING,
    } | changes


@pytest.fixture(scope="module")
def finished(images, tmp_path_factory):
    """A finished run of a tokenizer, without codes: not to be changed."""
    workdir = tmp_path_factory.mktemp("finished") / "run"
    train_run(config_of(images), workdir)
    return workdir


@pytest.fixture
def workdir(finished, tmp_path):
    """A copy of it."""
    return shutil.copytree(finished, tmp_path / "copy")


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def edit(path, change):
    about = json.loads(path.read_text())
    change(about)
    path.write_text(json.dumps(about))


# The fingerprint.


def test_moving_a_run_changes_nothing(finished, workdir):
    fingerprint = open_tokenizer_run(finished).fingerprint
    assert len(fingerprint) == 64 and int(fingerprint, 16)
    assert open_tokenizer_run(finished).fingerprint == fingerprint
    assert open_tokenizer_run(workdir).fingerprint == fingerprint
    # Nor does what training alone depends on.
    edit(workdir / "config.json", lambda config: config.update(log_every=7, learning_rate=0.5))
    assert open_tokenizer_run(workdir).fingerprint == fingerprint


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("config.json", lambda config: config["quantizer"].update(cosine=True)),
        ("config.json", lambda config: config["tokenizer"].update(name="vqvae")),
        ("data.json", lambda data: data["splits"]["train"].update(images=7)),
        ("data.json", lambda data: data.update(class_names=["dog", "cat"])),
    ],
)
def test_settings_and_data_change_it(finished, workdir, file, change):
    edit(workdir / file, change)
    assert open_tokenizer_run(workdir).fingerprint != open_tokenizer_run(finished).fingerprint


def test_weights_change_it(finished, workdir):
    def best(folder):
        with Checkpoints(folder / "checkpoints", warn=print) as checkpoints:
            return checkpoints.best_step()

    # The same settings and data, but the weights of another step.
    run = open_tokenizer_run(workdir)
    assert run.run.step == best(workdir)
    shutil.rmtree(workdir / "checkpoints" / str(run.run.step))
    other = open_tokenizer_run(workdir)
    assert (other.run.config, other.run.data) == (run.run.config, run.run.data)
    assert other.run.step != run.run.step and other.fingerprint != run.fingerprint


# The copy.


def test_a_copy_has_all_that_is_needed_and_no_more(finished, tmp_path):
    run = open_tokenizer_run(finished)
    into = tmp_path / "prior" / "tokenizer"
    into.parent.mkdir()
    carry(run, into)
    copied, there = files(into), files(finished)
    assert copied.items() <= there.items()
    kept = f"checkpoints/{run.run.step}/"
    assert {name.split("/")[0] for name in copied if not name.startswith(kept)} == {
        "config.json",
        "data.json",
        "data_manifest.json",
        "metrics.jsonl",
    }
    assert not [name for name in copied if "/optimizer/" in name or "/weights/" in name]
    other = open_tokenizer_run(into)
    assert (other.fingerprint, other.run.step) == (run.fingerprint, run.run.step)
    assert os.listdir(into.parent) == ["tokenizer"]
    # What is there is left alone.
    (into / "data.json").write_text("{}")
    carry(run, into)
    assert (into / "data.json").read_text() == "{}"


def test_a_copy_is_whole_or_not_there(finished, workdir, tmp_path):
    run = open_tokenizer_run(workdir)
    averaged = workdir / "checkpoints" / str(run.run.step)
    averaged.rename(tmp_path / "aside")
    into = tmp_path / "prior" / "tokenizer"
    into.parent.mkdir()
    # Half-way through, as a full disk may end it.
    with pytest.raises(FileNotFoundError):
        carry(run, into)
    assert not any(into.parent.iterdir())
    # A killed process leaves its part behind.
    left_over = into.parent / leftover("tokenizer")
    left_over.mkdir()
    (left_over / "config.json").write_text("{")
    (tmp_path / "aside").rename(averaged)
    carry(run, into)
    assert os.listdir(into.parent) == ["tokenizer"]
    assert open_tokenizer_run(into).fingerprint == open_tokenizer_run(finished).fingerprint


# The codes.


def test_codes_are_those_of_all_images_in_order(images, workdir):
    events = []
    run = open_tokenizer_run(workdir)
    codes = make_codes(run, report=events.append)
    assert f"encoding folder:{images}" in events[0].text
    assert codes.facts.fingerprint == run.fingerprint and codes.facts.class_names == ("cat", "dog")
    assert [(*grid.shape, grid.levels) for grid in codes.facts.grids] == [
        (1, 2, 2, 8),
        (2, 4, 2, 8),
    ]
    dataset = open_dataset(f"folder:{images}", validation_fraction=0.1)
    tokenizer = load_trained(workdir).model
    assert sum(map(len, codes.splits.values())) == COUNT
    for name, split in dataset.splits.items():
        pixels, labels = split.source.read(range(len(split)))
        expected = jitted(tokenizer, "encode", pixels.astype(np.float32) / 255)
        found, found_labels, _ = codes.splits[name].read(range(len(split)))
        assert len(codes.splits[name]) == len(split)
        assert codes.splits[name].description == split.description
        np.testing.assert_array_equal(found_labels, labels)
        assert set(labels) == {0, 1}
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
            assert len(np.unique(theirs)) > 1
    # Written once.
    before = {p: p.stat().st_mtime_ns for p in (workdir / "codes").rglob("*")}
    assert len(before) == 5
    events.clear()
    again = make_codes(open_tokenizer_run(workdir), report=events.append)
    assert not events
    assert {p: p.stat().st_mtime_ns for p in (workdir / "codes").rglob("*")} == before
    assert again.facts.fingerprint == codes.facts.fingerprint
    # In memory they are the same, and nothing is written.
    memory = make_codes(run, in_memory=True)
    assert memory.facts.grids == codes.facts.grids
    for ours, theirs in zip(memory.counts, codes.counts, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for name, split in codes.splits.items():
        assert memory.splits[name].description == split.description
        pairs = (memory.splits[name].read([1, 0]), split.read([1, 0]))
        chex.assert_trees_all_equal(*pairs)
    assert {p: p.stat().st_mtime_ns for p in (workdir / "codes").rglob("*")} == before
    # Unless they are damaged.
    (path,) = (workdir / "codes").rglob("test.array_record")
    path.write_bytes(path.read_bytes()[:-1])
    make_codes(open_tokenizer_run(workdir), report=events.append)
    assert events
    assert len(list((workdir / "codes").rglob("*"))) == 5


def test_how_training_cut_its_batches_does_not_matter(workdir):
    # 128 images cannot be cut into three parts.
    edit(workdir / "config.json", lambda config: config.update(accumulate_steps=3))
    codes = make_codes(open_tokenizer_run(workdir))
    assert sum(len(split) for split in codes.splits.values()) == COUNT


def test_codes_of_other_images_are_not_made(images, finished, tmp_path):
    workdir = shutil.copytree(finished, tmp_path / "copy")
    edit(workdir / "data.json", lambda data: data["splits"]["train"].update(images=7))
    with pytest.raises(InputError, match="is not the data set of the run: the number of images"):
        make_codes(open_tokenizer_run(workdir))
    assert not list((workdir / "codes").rglob("*"))

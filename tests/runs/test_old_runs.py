"""Run folders of version 0.1.0 load, score, sample, evaluate and resume as they did then.

``fixtures/runs_0_1_0.tar.xz`` holds a pixel model, a tokenizer and a prior, written by the code of
0.1.0 from its configs digits, digits_vqvae and digits_prior. Each took 6 steps of 16 images with
checkpoints at 3 and 6; networks have 4 features and one layer, the codebook has 8 codes, and the
pixel model is class-conditional. Pictures, events, codes and the optimizers of step 6 were left
out. ``fixtures/runs_0_1_0.json`` holds what that code computed from them, on the first eight test
images and for the key 7.
"""

import json
import shutil
import tarfile
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior.context import Context
from pixelprior.data import open_dataset
from pixelprior.errors import InputError
from pixelprior.experiment import schema
from pixelprior.experiment.build import QUANTIZERS, constructor_settings
from pixelprior.models import MODELS
from pixelprior.progress import Message
from pixelprior.runs.evaluate import evaluate
from pixelprior.runs.load import load_trained
from pixelprior.runs.tokenizer import make_codes, open_tokenizer_run
from pixelprior.runs.train import claimed, open_task, plan_run, train_run
from pixelprior.sampling import sample
from pixelprior.system.devices import data_mesh
from pixelprior.tokenizers import TOKENIZERS
from pixelprior.training.run_folder import RunFolder

FIXTURES = Path(__file__).parents[1] / "fixtures"
EXPECTED = json.loads((FIXTURES / "runs_0_1_0.json").read_text())
TASKS = ("pixels", "tokenizer", "prior")


def claim(config, folder):
    """Claims a folder for a run, as training does."""
    task, tokenizer = open_task(config, folder, data_mesh())
    with claimed(task, config, folder, tokenizer):
        pass


# Compilers may reorder sums: float32 rounds partial sums of up to 180 nats to 1.5e-5, ten times.
NATS = {"rtol": 0, "atol": 2e-4}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folder of the three runs: not to be changed."""
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(FIXTURES / "runs_0_1_0.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "runs_0_1_0"


@pytest.fixture
def copy(runs, tmp_path):
    """Copies a run, or two, to change them."""

    def copy(task):
        return Path(shutil.copytree(runs / task, tmp_path / task))

    return copy


@pytest.fixture(scope="module")
def images():
    """Symbols and labels of the first eight test images."""
    dataset = open_dataset("digits", image_size=(0, 0), validation_fraction=0.1, data_dir=None)
    x, labels = dataset.splits["test"].source.read(range(8))
    return jnp.asarray(x, jnp.int32), jnp.asarray(labels)


def edit(path, change):
    """Rewrites a JSON file."""
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_together_they_are_small():
    files = list(FIXTURES.glob("runs_0_1_0.*"))
    assert len(files) == 2 and sum(file.stat().st_size for file in files) < 300_000


def test_a_pixel_model(runs, images):
    model, (x, labels) = load_trained(runs / "pixels").model, images
    expected = EXPECTED["pixels"]
    nats = -jax.jit(type(model).log_prob)(model, x, Context(label=labels))
    np.testing.assert_allclose(nats, expected["nats"], **NATS)
    drawn = sample(model, jax.random.key(7), 4, context=Context(label=jnp.arange(4)))
    chex.assert_shape(drawn, (4, 8, 8, 1))
    np.testing.assert_array_equal(drawn.reshape(4, -1), expected["samples"])


@pytest.mark.parametrize("folder", ["tokenizer", "prior/tokenizer"])
def test_a_tokenizer(runs, images, folder):
    tokenizer, (x, _) = load_trained(runs / folder).model, images
    expected = EXPECTED["tokenizer"]
    (codes,) = tokenizer.encode(x / jnp.float32(16))
    chex.assert_shape(codes, (8, 4, 4, 1))
    np.testing.assert_array_equal(codes.reshape(8, -1), expected["codes"])
    decoded = tokenizer.decode([codes])
    chex.assert_equal_shape([decoded, x])
    # They were rounded to six digits.
    np.testing.assert_allclose(decoded[0].ravel(), expected["decoded_first"], rtol=0, atol=1e-5)


def test_a_prior(runs, images):
    run = load_trained(runs / "prior")
    codes = jnp.asarray(EXPECTED["tokenizer"]["codes"]).reshape(8, 4, 4, 1)
    expected, labels = EXPECTED["prior"], images[1]
    nats = -run.model.log_prob([codes], Context(label=labels))
    np.testing.assert_allclose(nats, expected["nats"], **NATS)
    (drawn,) = run.model.sample(jax.random.key(7), 4, context=Context(label=jnp.arange(4)))
    np.testing.assert_array_equal(drawn.reshape(4, -1), expected["samples"])
    assert run.tokenizer is not None and run.step == 6
    # Codes of another tokenizer would mean something else.
    assert open_tokenizer_run(runs / "tokenizer").fingerprint == run.data["tokenizer"]
    assert open_tokenizer_run(runs / "prior" / "tokenizer").fingerprint == run.data["tokenizer"]


@pytest.mark.parametrize("task", TASKS)
def test_they_are_measured_as_they_were(copy, task):
    folder = copy(task)
    recorded = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    result = evaluate(load_trained(folder), split="test", batch_size=64, baselines=False).result
    name = "squared_error" if task == "tokenizer" else "nats"
    # Means of float64 sums over 359 images, each rounded as above.
    np.testing.assert_allclose(result[name], recorded[f"test_{name}"], rtol=1e-5)
    assert result["num_images"] == 359


def state(folder, *, averaged):
    run = load_trained(folder, checkpoint="latest", averaged=averaged)
    assert run.step == 6
    return nnx.to_pure_dict(nnx.state(run.model))


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_they_go_on(runs, copy, task):
    folder, events = copy(task), []
    shutil.rmtree(folder / "checkpoints" / "6")
    config = json.loads((folder / "config.json").read_text())
    result = train_run(config, folder, report=events.append)
    assert result.step == 6 and result.stopped_by is None
    assert Message("resuming at step 3") in events
    # Dropout has been drawn by image since then, and these runs go on with other draws. A step
    # moves a weight by up to the learning rate, 5e-3. The tokenizer has no dropout.
    atol, rtol = (1e-5, 1e-4) if task == "tokenizer" else (3 * 5e-3, 0.05)
    for averaged in (False, True):
        ours, theirs = (state(run, averaged=averaged) for run in (folder, runs / task))
        chex.assert_trees_all_close(ours, theirs, rtol=0, atol=atol)
    new, old = (
        json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
        for run in (folder, runs / task)
    )
    assert new.keys() == old.keys()
    losses = [key for key in new if "loss" in key or "bits" in key]
    assert losses
    np.testing.assert_allclose(
        [new[key] for key in losses], [old[key] for key in losses], rtol=rtol
    )


# Keys that are added after these runs were written.


@pytest.fixture
def new_key(monkeypatch):
    """Adds a key to the configs of all tasks, "new", with the neutral value 0."""
    for task in TASKS:
        monkeypatch.setitem(schema.TASKS, task, schema.TASKS[task] | {"new": int})
    monkeypatch.setitem(schema.NEUTRAL, "new", 0)


@pytest.mark.parametrize("task", TASKS)
def test_a_key_added_since_has_its_neutral_value(runs, copy, task, new_key):
    folder = RunFolder(copy(task))
    old = json.loads((folder.path / "config.json").read_text())
    assert "new" not in old and load_trained(folder.path).config["new"] == 0
    # The old config goes on, and so does a new one that names the neutral value.
    for config in (old, old | {"new": 0}):
        claim(schema.complete(config), folder)
    with pytest.raises(InputError, match=r"another run \(new: 0 there, 1 now\)"):
        claim(schema.complete(old) | {"new": 1}, folder)


def test_an_old_config_is_planned_as_before(runs, new_key):
    old = json.loads((runs / "pixels" / "config.json").read_text())
    recorded = json.loads((runs / "pixels" / "metrics.jsonl").read_text().splitlines()[0])
    assert plan_run(old).num_parameters == recorded["num_parameters"]


def test_a_list_of_runs_has_the_neutral_values(runs, new_key):
    old = json.loads((runs / "pixels" / "config.json").read_text())
    config = schema.complete({"task": "compare", "runs": {"a": old, "b": old | {"new": 3}}})
    assert [run["new"] for run in config["runs"].values()] == [0, 3]
    schema.check_config(config)
    # What is no config at all is left to the check.
    assert schema.complete({"task": "compare", "runs": {"a": 3}})["runs"] == {"a": 3}


@pytest.mark.parametrize("task", ["pixels", "tokenizer"])
def test_a_key_of_the_data_added_since(runs, copy, task, monkeypatch):
    folder = copy(task)
    config = schema.complete(json.loads((folder / "config.json").read_text()))
    edit(folder / "data.json", lambda data: data.pop("native_levels"))
    with pytest.raises(InputError, match=r"data.json has no value for: native_levels;"):
        load_trained(folder)
    with pytest.raises(InputError, match=r"data.json has no value for: native_levels;"):
        claim(config, RunFolder(folder))
    # As if 0.1.0 had not known it.
    monkeypatch.setitem(schema.DATA_NEUTRAL, "native_levels", 17)
    assert load_trained(folder).data["native_levels"] == 17
    claim(config, RunFolder(folder))
    if task == "tokenizer":
        codes = make_codes(open_tokenizer_run(folder))
        assert codes.facts.fingerprint == open_tokenizer_run(folder).fingerprint


def test_a_fingerprint_outlives_new_keys(copy, monkeypatch):
    monkeypatch.setitem(schema.DATA_NEUTRAL, "new", "grey")
    folder = copy("prior")
    recorded = load_trained(folder).data["tokenizer"]
    # A tokenizer whose folder names the neutral value is the one that does not know the key.
    for value, same in (("grey", True), ("rgb", False)):
        edit(folder / "tokenizer" / "data.json", lambda data, value=value: data.update(new=value))
        assert (open_tokenizer_run(folder / "tokenizer").fingerprint == recorded) == same


@pytest.mark.parametrize(
    ("settings", "where", "kept"),
    [
        ({"name": "vector", "new": 0}, "quantizer", {"name": "vector"}),
        ({"name": "vector", "new": 1}, "quantizer", {"name": "vector", "new": 1}),
        # The same name elsewhere is another setting.
        ({"name": "vqvae", "new": 0}, "tokenizer", {"name": "vqvae", "new": 0}),
        ({"quantizer": {"new": 0}, "new": 0}, "", {"quantizer": {}, "new": 0}),
        # Of pixels, and of each level.
        ({"model": {"wide": False}}, "", {"model": {}}),
        (
            {"models": {"top": {"wide": False}, "bottom": {"wide": True}}},
            "",
            {"models": {"top": {}, "bottom": {"wide": True}}},
        ),
    ],
)
def test_neutral_settings_of_networks(settings, where, kept):
    neutral = {"quantizer.new": 0, "model.wide": False}
    assert schema.without_neutral(settings, neutral, where) == kept


@pytest.mark.parametrize("key", [key for key in schema.NEUTRAL if "." in key])
def test_the_neutral_value_of_a_network_is_the_default_of_its_constructor(key):
    part, name = key.split(".")
    makers = {"quantizer": QUANTIZERS, "tokenizer": TOKENIZERS, "model": MODELS}[part].values()
    # VQVAE2 passes its settings on to VQVAE.
    found = [settings[name] for make in makers if name in (settings := constructor_settings(make))]
    assert found and all(value == schema.NEUTRAL[key] for value in found)


@pytest.mark.parametrize(
    ("task", "file", "key"),
    [
        ("pixels", "config.json", "class_conditional"),
        ("tokenizer", "config.json", "accumulate_steps"),
        ("prior", "config.json", "trained_levels"),
        ("pixels", "data.json", "class_names"),
        ("tokenizer", "data.json", "pixel_variance"),
        ("prior", "data.json", "code_counts"),
    ],
)
def test_a_missing_key_without_a_neutral_value_is_named(copy, task, file, key):
    folder = copy(task)
    edit(folder / file, lambda values: values.pop(key))
    with pytest.raises(InputError, match=f"{file} has no value for: {key}; another version"):
        load_trained(folder)


def test_a_run_from_before_labels_were_hidden(copy):
    folder = copy("pixels")
    edit(folder / "config.json", lambda config: config.pop("label_dropout"))
    assert load_trained(folder).config["label_dropout"] == 0.0

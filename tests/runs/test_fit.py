"""Training from Python: recipes by name, and models on arrays."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import chex
import jax
import numpy as np
import pytest
from flax import nnx
from ml_collections import ConfigDict, FrozenConfigDict
from ml_collections.config_dict import required_placeholder

import pixelprior as pp
from pixelprior.progress import Advance, Caution, Finished, Message, Record

TINY = {"features": 4, "num_layers": 1, "embedding_features": 4, "head_features": 8}
QUICK = {"num_steps": 4, "batch_size": 16, "checkpoint_every": 2, "progress": False}


def tiny(**settings):
    grid = pp.Grid(height=4, width=6, channels=1, levels=8)
    return pp.GatedPixelCNN(grid, **TINY, **settings, rngs=nnx.Rngs(0))


def weights(model):
    return nnx.to_pure_dict(nnx.state(model))


@pytest.fixture(scope="module")
def in_memory(stripes):
    events = []
    model = tiny()
    before = weights(model)
    run = pp.fit(model, stripes[0], **QUICK | {"progress": events.append})
    # The model that was handed in stays as it was.
    chex.assert_trees_all_equal(weights(model), before)
    return run, events


def test_a_model_on_arrays_in_memory(in_memory, stripes):
    run, _ = in_memory
    assert run.folder is None and run.step in (2, 4)
    losses = [record["validation_loss"] for record in run.metrics if "validation_loss" in record]
    best = [2, 4][int(np.argmin(losses))]
    assert run.provenance == f"averaged weights of step {best} (best validation)"
    # A fifth of 60, and a tenth of the other 48.
    counts = {name: split["images"] for name, split in run.data["splits"].items()}
    assert counts == {"train": 43, "validation": 5, "test": 12}
    found = pp.evaluate(run, baselines=False)
    assert found["num_images"] == 12
    assert found["nats"] == pytest.approx(run.metrics[-1]["test_nats"], rel=1e-5)
    # By hand: the mean over the test split, in the order of the data set.
    test, _ = run.images[0].splits["test"].source.read(range(12))
    by_hand = -pp.log_prob(run, test.astype(np.int32)).mean()
    assert found["nats"] == pytest.approx(float(by_hand), rel=1e-5)
    images = pp.sample(run, jax.random.key(0), 3)
    chex.assert_shape(images, (3, 4, 6, 1))


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda run: run.read([]), r"split must be one of train, validation, test of .*, got \[\]"),
        (lambda run: run.read("tset"), "split must be one of .*, got 'tset'"),
        (lambda run: run.class_index([]), r"label must be the number or the name .*, got \[\]"),
        (lambda run: pp.evaluate(run, split="tset"), "split must be one of .*, got 'tset'"),
        (lambda run: pp.evaluate(run, batch_size="x"), "batch_size must be .*, got 'x'"),
    ],
)
def test_a_run_refuses_what_does_not_fit_it(in_memory, ask, words):
    with pytest.raises(pp.InputError, match=words):
        ask(in_memory[0])


def test_progress_is_told_through_one_callback(in_memory):
    run, events = in_memory
    records = [
        {"step": event.step, **event.values} for event in events if isinstance(event, Record)
    ]
    assert records == list(run.metrics)
    steps = [event.done for event in events if isinstance(event, Advance)]
    assert steps[0] == 0 and steps[-1] == 4 and steps == sorted(steps)
    assert any(isinstance(event, Finished) for event in events)
    assert any(isinstance(event, Message) and "done: " in event.text for event in events)


def test_the_same_in_a_folder_and_resumed(in_memory, stripes, tmp_path):
    run, _ = in_memory
    in_folder = pp.fit(tiny(), stripes[0], workdir=tmp_path / "run", **QUICK)
    chex.assert_trees_all_equal(weights(in_folder.model), weights(run.model))
    # The folder alone rebuilds the model.
    chex.assert_trees_all_equal(weights(pp.load(tmp_path / "run")), weights(run.model))
    assert pp.evaluate(in_folder, baselines=False)["nats"] == pytest.approx(
        pp.evaluate(run, baselines=False)["nats"], rel=1e-6
    )
    again = pp.fit(tiny(), stripes[0], workdir=tmp_path / "run", **QUICK)
    chex.assert_trees_all_equal(weights(again.model), weights(run.model))
    # Its images are in no folder.
    with pytest.raises(pp.InputError, match="arrays in memory, which its folder does not keep"):
        pp.evaluate(tmp_path / "run")
    with pytest.raises(pp.InputError, match="holds another run"):
        pp.fit(tiny(), stripes[0][:50], workdir=tmp_path / "run", **QUICK)


def test_an_interrupted_run_says_that_nothing_was_validated(stripes):
    sent = []

    def report(event):
        # Once: a second Ctrl-C would raise.
        if isinstance(event, Record) and event.step and not sent:
            sent.append(event.step)
            os.kill(os.getpid(), signal.SIGINT)

    late = {"num_steps": 60, "checkpoint_every": 60, "log_every": 1, "progress": report}
    run = pp.fit(tiny(), stripes[0], **QUICK | late)
    assert sent == [1] and run.step < 60
    assert run.provenance == f"averaged weights of step {run.step} (latest, never validated)"


SEARCH = """
import os, signal, sys
import numpy as np
import pixelprior as pp
from pixelprior.progress import Advance

images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
model = dict(features=4, num_layers=1, embedding_features=4, head_features=8)

def report(event):
    if isinstance(event, Advance) and event.done == 2:
        os.kill(os.getpid(), signal.SIGTERM)

for number in range(2):
    print("training", number, flush=True)
    settings = dict(levels=4, num_steps=60, batch_size=8, log_every=1, model=model)
    pp.fit("digits", images, workdir=sys.argv[1] or None, progress=report, **settings)
"""


@pytest.mark.slow
@pytest.mark.parametrize("place", ["", "run"])
def test_a_search_ends_with_sigterm(tmp_path, place):
    command = [sys.executable, "-c", SEARCH, place and str(tmp_path / place)]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == -signal.SIGTERM and said.stdout == "training 0\n", said.stderr
    if place:
        assert pp.load_trained(tmp_path / place, checkpoint="latest").step >= 2


def test_in_threads(in_memory, stripes, tmp_path):
    """Several at once, in memory and in folders: each as in the main thread."""
    events = []

    def work(number):
        settings = {"workdir": tmp_path / str(number)} if number else {}
        return pp.fit(tiny(), stripes[0], **QUICK | settings | {"progress": events.append})

    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(work, range(3)))
    for run in runs:
        chex.assert_trees_all_equal(weights(run.model), weights(in_memory[0].model))
    # Once in a process, however many trainings it has.
    said = [
        event.text for event in events if isinstance(event, Message) and "in a thread" in event.text
    ]
    assert len(said) <= 1


THREADS = """
import os, signal, sys, threading
import numpy as np
import pixelprior as pp
from pixelprior.progress import Advance

# A shell lets what it runs in the background ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
model = dict(features=4, num_layers=1, embedding_features=4, head_features=8)
said, under_way, runs = [], threading.Event(), []

def report(event):
    said.append(event)
    if isinstance(event, Advance) and event.done:
        under_way.set()

def work():
    settings = dict(levels=4, num_steps=300, batch_size=8, log_every=1, model=model)
    runs.append(pp.fit("digits", images, progress=report, **settings))

threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
under_way.wait()
try:
    os.kill(os.getpid(), signal.SIGINT)
    for thread in threads:
        thread.join()
except KeyboardInterrupt:
    print("interrupted")
for thread in threads:
    thread.join()
words = [event.text for event in said if "in a thread" in getattr(event, "text", "")]
print(len(runs), *(run.metrics[-1]["step"] for run in runs))
print(*words, sep="\\n")
"""


@pytest.mark.slow
def test_a_signal_reaches_only_the_main_thread():
    said = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines() == [
        "interrupted",
        "2 300 300",
        "this training runs in a thread, where Ctrl-C and SIGTERM do not save; its checkpoints "
        "stay as they are",
    ]


def test_eight_bit_pixels_become_symbols_and_jax_arrays_do(in_memory, stripes):
    # 36 of 256 values for each of 8 levels.
    events = []
    pixels = jax.numpy.asarray(stripes[0] * 36 + 3, jax.numpy.uint8)[..., None]
    run = pp.fit(tiny(), pixels, **QUICK | {"progress": events.append})
    assert Message("8-bit pixels, quantised to 8 levels") in events
    theirs = in_memory[0].images[0].splits["train"].source.read(range(43))[0]
    dataset, symbols = run.images
    ours = symbols.to_symbols(
        dataset.splits["train"].source.read(range(43))[0], 256, split="train", indices=range(43)
    )
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_labels(stripes):
    run = pp.fit(tiny(num_classes=2), *stripes, **QUICK)
    assert run.config["class_conditional"] and run.data["class_names"] == ["0", "1"]
    images = pp.sample(run, jax.random.key(0), 2, label="1")
    np.testing.assert_array_equal(images, pp.sample(run, jax.random.key(0), 2, label=[1, 1]))


@pytest.mark.slow
def test_a_recipe_with_other_settings_then_a_prior_of_its_codes():
    network = {"features": 4, "residual_features": 2}
    quantizer = {"features": 4, "codebook_size": 8, "k_means_iterations": 2}
    settings = {"quantizer": quantizer, "tokenizer": network}
    codes = pp.fit("digits:vqvae", **QUICK, **settings)
    top = TINY | {"dropout_rate": 0.0}
    prior = pp.fit("digits:prior", tokenizer=codes, models={"top": top}, **QUICK)
    assert prior.folder is None and prior.tokenizer is codes.model
    drawn = pp.sample(prior, jax.random.key(0), 2, label=3)
    chex.assert_shape(drawn, [(2, 4, 4, 1)])
    images = pp.decode(prior, drawn)
    np.testing.assert_array_equal(
        pp.sample(prior, jax.random.key(0), 2, label=3, tokenizer=prior), images
    )
    assert pp.show(drawn, prior).size == pp.show(images).size
    found = pp.evaluate(prior, baselines=False)
    assert found["nats"] == pytest.approx(prior.metrics[-1]["test_nats"], rel=1e-4)


def test_a_config_of_any_kind(in_memory, stripes):
    """The same training from whole configs, and from settings with nested ones."""
    config, trained = in_memory[0].config, []
    for kind in (dict, ConfigDict, FrozenConfigDict):
        given = kind({**config, "model": kind(config["model"])})
        run = pp.fit(given, stripes[0], progress=False)
        assert json.loads(json.dumps(run.config)) == json.loads(json.dumps(config))
        trained.append(weights(run.model))
        changed = pp.fit("digits", num_steps=1, model=kind(TINY), progress=False).config["model"]
        assert changed["features"] == 4 and changed["kernel_size"] == 3
    for others in trained[1:]:
        chex.assert_trees_all_equal(others, trained[0])


def test_warm_up_follows_the_number_of_steps():
    run = pp.fit("digits", **QUICK | {"model": TINY})
    # 50 of 2,400, in proportion; given keys stay as they are.
    assert run.config["warmup_steps"] == 0 and run.config["checkpoint_every"] == 2
    assert run.config["model"]["num_layers"] == 1 and run.config["model"]["kernel_size"] == 3


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        (["digit"], {}, "did you mean digits"),
        (["digits:vqvea"], {}, "did you mean vqvae"),
        ([3], {}, "expected the name of a recipe, a config, a pixel model"),
        (["digits"], {"learning_rat": 1.0}, "there is no setting learning_rat; did you mean lea"),
        (["digits"], {"model": {"feature": 1}}, "there is no setting model.feature; did you mean"),
        (["digits"], {"num_steps": 0}, "num_steps must be above 0"),
        (["digits"], {"tokenizer": "x"}, "tokenizer is for training a prior"),
        (["digits", None, np.zeros(3, int)], {}, "labels were given without images"),
        (["digits:prior"], {}, "give the folder of its run with --tokenizer"),
        (["compare"], {}, "fit trains one run"),
        (["compare", np.zeros((9, 4, 6), np.uint8)], {}, "fit trains one run"),
        ([{}], {}, "config.task must be one of pixels, .*, got None"),
        ([{"task": ["pixels"]}], {}, r"config.task must be one of .*, got \['pixels'\]"),
        ([ConfigDict({"task": "pixels"})], {"num_steps": 3}, "the config has no value for: .*seed"),
        ([{3: 4}], {}, "the keys of a config must be strings, got 3"),
        ([ConfigDict({"task": required_placeholder(str)})], {}, "a required value that is not set"),
        (["digits"], {"model": ConfigDict({"feature": 1})}, "there is no setting model.feature"),
    ],
)
def test_arguments_that_do_not_fit(arguments, settings, words):
    with pytest.raises(pp.InputError, match=words):
        pp.fit(*arguments, progress=False, **settings)


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (None, None, "a GatedPixelCNN is trained on images"),
        (np.zeros((9, 4, 6)), None, "must be uint8 pixels or integer symbols, got float64"),
        ([np.zeros((4, 6), np.uint8)] * 9, None, "must be one array .*, got list"),
        (np.zeros((9, 5, 6), np.uint8), None, r"the model is of images \[4, 6, 1\], got \[5, 6, 1"),
        (np.full((9, 4, 6), 8, np.int32), None, r"or symbols in \[0, 8\), got values from 8 to 8"),
        (np.full((9, 4, 6), -1, np.int32), None, "got values from -1 to -1"),
        (np.zeros((2, 4, 6), np.uint8), None, "at least 3 images"),
        (np.zeros((9, 4, 6), np.uint8), np.zeros(8, int), "labels must be 9 integers"),
        (np.zeros((9, 4, 6), np.uint8), np.zeros(9), "labels must be 9 integers"),
    ],
)
def test_arrays_that_do_not_fit(images, labels, words):
    with pytest.raises(pp.InputError, match=words):
        pp.fit(tiny(), images, labels, **QUICK)


def test_labels_that_do_not_fit_the_model(stripes):
    images, labels = stripes
    with pytest.raises(pp.InputError, match="the model is conditioned on 2 classes"):
        pp.fit(tiny(num_classes=2), images, labels + 1, **QUICK)
    with pytest.raises(pp.InputError, match="the model is conditioned on 2 classes"):
        pp.fit(tiny(num_classes=2), images, **QUICK)


def test_a_folder_must_be_able_to_rebuild_its_model(stripes, tmp_path):
    class Mine(pp.GatedPixelCNN):
        pass

    grid = pp.Grid(height=4, width=6, channels=1, levels=8)
    model = Mine(grid, **TINY, rngs=nnx.Rngs(0))
    with pytest.raises(pp.InputError, match="must be able to rebuild its model"):
        pp.fit(model, stripes[0], workdir=tmp_path / "run", **QUICK)
    assert not (tmp_path / "run").exists()
    assert pp.fit(model, stripes[0], **QUICK).config["model"] == {"name": "Mine"}


def test_pixels_0_and_1_for_a_model_of_more_levels_are_warned_of(stripes):
    events = []
    images = (stripes[0] > 3).astype(np.uint8)
    pp.fit(tiny(), images, **QUICK | {"progress": events.append, "num_steps": 1})
    cautions = [event.text for event in events if isinstance(event, Caution)]
    assert any("only the values 0 and 1, of 8 levels" in text for text in cautions)

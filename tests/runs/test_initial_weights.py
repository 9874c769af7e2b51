"""A new run that starts from the weights of another one: every task, from Python."""

import dataclasses
import json

import numpy as np
import pytest
from flax import nnx

import pixelprior as pp
from pixelprior.data import CodeFacts, Symbols, codes_in_memory
from pixelprior.data.codes.records import Coded
from pixelprior.data.sources.arrays import as_images, open_arrays
from pixelprior.experiment.recipes import load_recipe
from pixelprior.progress import Caution, Message
from pixelprior.runs.initial_weights import initial_weights
from pixelprior.runs.run import Run
from pixelprior.system.devices import data_mesh
from pixelprior.training.tasks import PixelTask, PriorTask, TokenizerTask
from tests.runs.test_take_weights import arrays, random_model
from tests.training.small_configs import TOKENIZER

TINY = {"features": 4, "num_layers": 1, "embedding_features": 4, "head_features": 8}
QUICK = {"num_steps": 2, "batch_size": 16, "checkpoint_every": 2, "progress": False}
# So small a rate that no float32 weight moves.
STILL = {"num_steps": 1, "learning_rate": 1e-30, "weight_decay": 0.0, "warmup_steps": 0}


def network(seed=0, levels=8, **settings):
    grid = pp.Grid(height=4, width=6, channels=1, levels=levels)
    return pp.GatedPixelCNN(grid, **TINY | settings, rngs=nnx.Rngs(seed))


@pytest.fixture(scope="module")
def source(stripes, tmp_path_factory):
    """A trained run of two classes, in a folder: not to be changed."""
    folder = tmp_path_factory.mktemp("source") / "run"
    return pp.fit(network(num_classes=2), *stripes, workdir=folder, **QUICK)


def texts(events, kind=Message):
    return [event.text for event in events if isinstance(event, kind)]


@pytest.mark.slow
def test_the_first_loss_is_that_of_the_source(source, stripes):
    events = []
    settings = QUICK | STILL | {"progress": events.append}
    model = network(seed=1, num_classes=2)
    before = arrays(model)
    for given in (source, source.folder.path, source.model):
        tuned = pp.fit(model, *stripes, init_from=given, **settings)
        (loss,) = [r["validation_loss"] for r in tuned.metrics if "validation_loss" in r]
        assert loss == source.metrics[-2]["validation_loss"]
        for path, value in arrays(tuned.model).items():
            np.testing.assert_array_equal(value, arrays(source.model)[path])
    for path, value in arrays(model).items():
        np.testing.assert_array_equal(value, before[path])
    total = sum(value.size for value in before.values())
    places = [f"{source.folder.path}, {source.provenance}"] * 2 + ["a GatedPixelCNN"]
    heads = [text for text in texts(events) if text.startswith("initial weights")]
    assert heads == [f"initial weights from {p}: {total:,} of {total:,} taken" for p in places]
    assert not texts(events, Caution)


def test_a_run_that_goes_on_never_reads_the_source(source, stripes, tmp_path):
    events = []
    settings = QUICK | {"workdir": tmp_path / "run", "progress": events.append}
    model = network(num_classes=2)
    first = pp.fit(model, *stripes, init_from=source.folder.path, **settings)
    again = pp.fit(model, *stripes, init_from=tmp_path / "nothing", **settings)
    for path, value in arrays(again.model).items():
        np.testing.assert_array_equal(value, arrays(first.model)[path])
    assert any("so --init_from has no effect" in text for text in texts(events))


def pixel_task(stripes, class_names, model, **changes):
    """A task on the stripes, with other names of their classes."""
    images, labels = as_images(*stripes, 8)
    opened = open_arrays(
        images, labels, native_levels=8, validation_fraction=0.1, class_names=class_names
    )
    config = load_recipe("digits") | {"levels": 8, "class_conditional": True, "batch_size": 16}
    config["distribution_augmentation"] = 0.0
    symbols = Symbols(8, "none")
    return PixelTask(config | changes, data_mesh(), opened=(opened, symbols), model=model)


def test_other_classes_get_rows_of_their_own(source, stripes):
    events = []
    model = network(seed=1, num_classes=3)
    task = pixel_task(stripes, ("1", "seven", "0"), model)
    initial = initial_weights(task, source, events.append)
    task.initial = initial
    made, ours, theirs = arrays(task.make()), arrays(model), arrays(source.model)
    table = ("context_encoder", "label", "embedding")
    there = theirs[table]
    np.testing.assert_array_equal(made[table], [there[1], ours[table][1], there[0]])
    for path in made.keys() - {table}:
        np.testing.assert_array_equal(made[path], theirs[path])
    assert "  label table: 8 of 12 taken; no row in the source for seven" in texts(events)
    summary = json.loads(json.dumps(initial.summary))
    assert summary["init_from"] == str(source.folder.path)
    assert summary["provenance"] == source.provenance and summary["step"] == source.step
    assert summary["taken"]["label table"] == 8 and summary["fresh"] == {"label table": 4}
    assert summary["notes"] == {"label table": ["no row in the source for seven"]}


def test_few_weights_are_warned_of(source, stripes):
    events = []
    task = pixel_task(stripes, ("0", "1"), network(seed=1, num_classes=2, features=16))
    initial_weights(task, source, events.append)
    (text,) = texts(events, Caution)
    assert "most of the initial weights are fresh" in text


SMALL = {
    "tokenizer": TOKENIZER["tokenizer"],
    "batch_size": 16,
}


def tokenizer_task(**quantizer):
    sizes = {"name": "vector", "features": 4, "codebook_size": 8, "k_means_iterations": 2}
    config = load_recipe("digits:vqvae2") | SMALL | {"quantizer": sizes | quantizer}
    return TokenizerTask(config, data_mesh())


def as_run(task, model, **facts):
    """A run in memory with these weights."""
    return Run(model, task.config, {**task.describe(), **facts}, "weights of step 3", 3)


def test_codebooks_are_kept_unless_their_size_changes():
    task = tokenizer_task()
    source = as_run(task, random_model(task.build, 0))
    theirs = arrays(source.model)
    task.initial = initial_weights(task, source, lambda event: None)
    assert task.initial.kept_codebooks == {0, 1}
    for path, value in arrays(task.make()).items():
        np.testing.assert_array_equal(value, theirs[path])
    larger = tokenizer_task(codebook_size=9)
    larger.initial = initial_weights(larger, source, lambda event: None)
    assert larger.initial.kept_codebooks == frozenset()
    made = arrays(larger.make())
    for path, value in made.items():
        if "quantizer" not in path:
            np.testing.assert_array_equal(value, theirs[path])
    # They start from the first batch: each of its 16 maps of 4x4 and of 2x2 vectors has a code.
    for level, vectors in ((0, 16 * 16), (1, 16 * 4)):
        assert made["_levels", level, "quantizer", "counts"].sum() == vectors


GRIDS = (pp.Grid(1, 2, 1, 3), pp.Grid(2, 4, 1, 5))
CLASSES = ("cat", "dog", "owl")
MODEL = {"name": "pixel_cnn"} | TINY


def prior_task(
    *trained, classes=CLASSES, attributes=(), fingerprint="ab" * 32, others=None, **models
):
    rng = np.random.default_rng(0)
    maps = [rng.integers(0, grid.levels, (6, *grid.shape), np.int32) for grid in GRIDS]
    facts = CodeFacts(
        fingerprint=fingerprint,
        grids=GRIDS,
        name="pets",
        class_names=classes,
        attribute_names=attributes,
    )
    images = Coded(maps, np.arange(6) % len(classes), np.zeros((6, len(attributes)), np.float32))
    splits = {name: (name, [images]) for name in ("train", "validation", "test")}
    config = load_recipe("digits:prior2") | {
        "class_conditional": True,
        "attribute_conditional": bool(attributes),
        "models": {"top": MODEL, "bottom": MODEL} | models,
        "context": {"features": 4, "num_blocks": 1},
        "trained_levels": trained,
        "batch_size": 2,
    }
    described = {"class_names": list(classes), "attribute_names": list(attributes)}
    codes = codes_in_memory(facts, splits)
    return PriorTask(config, None, codes, described, others, data_mesh())


@pytest.fixture(scope="module")
def prior():
    """A prior that has learned the bottom level alone."""
    task = prior_task("bottom")
    return as_run(task, random_model(task.build, 0))


def levels_of(path):
    """The level whose weights these are: 1 for the bottom, and for what carries the top to it."""
    return path[1] if path[0] == "levels" else 1


def test_levels_of_a_prior_are_matched_by_name(prior):
    task = prior_task("top", "bottom")
    events = []
    task.initial = initial_weights(task, prior, events.append)
    fresh, theirs = arrays(task.build()), arrays(prior.model)
    for path, value in arrays(task.make()).items():
        # The top level of the source is not learned.
        expected = theirs if levels_of(path) else fresh
        np.testing.assert_array_equal(value, expected[path], err_msg=str(path))
    told = texts(events)
    assert "  top blocks: fresh; not learned in the source" in told
    assert any(text.startswith("  taken as a whole: bottom blocks, bottom label") for text in told)
    assert not texts(events, Caution)


def test_one_level_of_a_source_with_another_number_of_levels(prior):
    # A source whose bottom level is the middle one of three would be another level.
    names = ("top", "middle", "bottom")
    third = pp.Grid(4, 8, 1, 5)
    make = [lambda grid, rngs, **kind: pp.PixelCNN(grid, **TINY, rngs=rngs, **kind)] * 3
    three = random_model(
        lambda: pp.Prior(
            [*GRIDS, third], make, num_classes=3, context_features=4, rngs=nnx.Rngs(0)
        ),
        1,
    )
    source = dataclasses.replace(
        prior, model=three, data={**prior.data, "learned_levels": list(names)}
    )
    task = prior_task("bottom")
    task.initial = initial_weights(task, source, lambda event: None)
    made, theirs = arrays(task.make()), arrays(three)
    path = ("blocks", "layers", "expand", "kernel")
    np.testing.assert_array_equal(made["levels", 1, *path], theirs["levels", 2, *path])
    np.testing.assert_array_equal(
        made["contexts", 0, "embeddings", 0, "table"],
        theirs["contexts", 1, "embeddings", 0, "table"],
    )


def test_untrained_levels_come_from_the_other_prior(prior):
    top = prior_task("top")
    other = random_model(top.build, 5)
    task = prior_task("bottom", others=(other, ["top"]))
    task.initial = initial_weights(task, prior, lambda event: None)
    for path, value in arrays(task.make()).items():
        expected = arrays(prior.model if levels_of(path) else other)
        np.testing.assert_array_equal(value, expected[path])
    # Without it they are fresh, since this run does not train them.
    task = prior_task("bottom")
    task.initial = initial_weights(task, prior, lambda event: None)
    fresh = arrays(task.build())
    for path, value in arrays(task.make()).items():
        if not levels_of(path):
            np.testing.assert_array_equal(value, fresh[path])
    assert not any(name.startswith("top") for name in task.initial.summary["fresh"])


def test_codes_of_another_tokenizer_are_warned_of(prior):
    events = []
    task = prior_task("bottom", fingerprint="cd" * 32, classes=("owl", "cat"))
    task.initial = initial_weights(task, prior, events.append)
    (text,) = texts(events, Caution)
    assert "is a prior over the codes of another tokenizer" in text
    # The null class is the last row of both.
    path = ("levels", 1, "context_encoder", "label", "embedding")
    there = arrays(prior.model)[path]
    np.testing.assert_array_equal(arrays(task.make())[path], there[[2, 0, 3]])


def test_attributes_of_a_prior_are_taken_by_name():
    source_task = prior_task("top", "bottom", attributes=("slant", "ink"))
    source = as_run(source_task, random_model(source_task.build, 0))
    task = prior_task("top", "bottom", attributes=("ink", "age"))
    task.initial = initial_weights(task, source, lambda event: None)
    made, theirs, fresh = (arrays(x) for x in (task.make(), source.model, task.build()))
    for number in range(2):
        path = ("levels", number, "context_encoder", "vector", "kernel")
        np.testing.assert_array_equal(made[path], [theirs[path][1], fresh[path][1]])
        path = ("levels", number, "context_encoder", "null_vector", "embedding")
        np.testing.assert_array_equal(made[path], theirs[path])


def test_a_level_of_another_kind_stays_fresh(prior):
    events = []
    source = dataclasses.replace(prior, data={**prior.data, "learned_levels": ["top", "bottom"]})
    task = prior_task("top", "bottom", bottom=MODEL | {"name": "gated_pixel_cnn"})
    initial_weights(task, source, events.append)
    words = "fresh; a GatedPixelCNN here and a PixelCNN there"
    assert f"  bottom head: {words}" in texts(events)
    assert f"  bottom context towers: {words}" in texts(events)


def test_what_is_refused(source, prior, stripes):
    task = pixel_task(stripes, ("0", "1"), network(num_classes=2))
    refusals = [
        (prior, "needs a run of the task 'pixels', but memory has the task 'prior'"),
        (pp.RowLSTM(task.images.grid, **TINY, rngs=nnx.Rngs(0)), "must be a GatedPixelCNN"),
        ("nowhere", "nowhere is not a run folder"),
        (7, "a run folder must be a path, got 7"),
    ]
    for given, words in refusals:
        with pytest.raises(pp.InputError, match=words) as error:
            initial_weights(task, given, lambda event: None)
        assert "\n" not in str(error.value)
    with pytest.raises(pp.InputError, match=r"no weight of memory fits .* \(not learned in the"):
        initial_weights(prior_task("top"), prior, lambda event: None)
    # Refused before anything is written or trained.
    with pytest.raises(pp.InputError, match="needs a run of the task 'tokenizer'"):
        pp.fit("digits:vqvae", **QUICK, init_from=source.model)


def test_nothing_is_written_if_the_source_is_refused(stripes, tmp_path):
    with pytest.raises(pp.InputError, match="nowhere is not a run folder"):
        pp.fit(network(), stripes[0], workdir=tmp_path / "run", init_from="nowhere", **QUICK)
    assert not any(tmp_path.iterdir())

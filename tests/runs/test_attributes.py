"""Runs of models conditioned on attributes: trained, sampled, scored, exported."""

import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import pixelprior as pp
from pixelprior.cli.sample_files import sample_to_files
from pixelprior.context import hide_condition
from pixelprior.errors import InputError
from pixelprior.experiment import Place
from pixelprior.nn.image_keys import split_keys
from pixelprior.runs.conditions import Conditions
from pixelprior.runs.load import load_trained
from pixelprior.runs.prior_task import open_prior_task
from pixelprior.runs.samples import Known, Request, samples_of
from pixelprior.system.devices import data_mesh
from pixelprior.training.run_folder import RunFolder
from pixelprior.training.tasks.pixels import pixel_loss
from tests.shared_runs import once

GRID = pp.Grid(height=4, width=6, channels=1, levels=8)
TINY = {"features": 4, "num_layers": 1, "embedding_features": 4, "head_features": 8}
QUICK = {"num_steps": 4, "batch_size": 16, "checkpoint_every": 2, "progress": False}
NAMES = ["slant", "ink"]
COUNT = 60


def tiny(**settings):
    return pp.GatedPixelCNN(GRID, **TINY, vector_features=2, **settings, rngs=nnx.Rngs(0))


def arrays():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 8, (COUNT, 4, 6, 1)).astype(np.uint8)
    return images, rng.integers(0, 3, COUNT), rng.normal(size=(COUNT, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def in_memory():
    images, labels, attributes = arrays()
    model = tiny(num_classes=3, null_class=True)
    named = dict(zip(NAMES, attributes.T, strict=True))
    return pp.fit(model, images, labels, attributes=named, **QUICK)


def test_the_score_of_each_image_uses_its_own_class_and_attributes(in_memory):
    run = in_memory
    assert run.data["attribute_names"] == NAMES
    result = pp.evaluate(run, baselines=False)
    assert result["attribute_conditional"] and result["class_conditional"]
    split = run.images[0].splits["test"]
    everything = np.arange(len(split))
    pixels, labels = split.source.read(everything)
    vectors, x = split.source.attributes(everything), pixels.astype(np.int32)
    of_all = pp.log_prob(run, x, label=labels, vector=vectors)
    assert result["nats"] == pytest.approx(float(-of_all.mean()), rel=1e-5)
    others = pp.log_prob(run, x, label=labels, vector=vectors[::-1])
    assert np.abs(np.asarray(of_all - others)).min() > 1e-6


def test_one_vector_for_all_images_or_one_for_each(in_memory):
    run, key = in_memory, jax.random.key(0)
    one = pp.sample(run, key, 5, label=1, vector=[0.5, -1])
    context = pp.Context(label=jnp.full(5, 1), vector=jnp.tile(jnp.array([0.5, -1.0]), (5, 1)))
    np.testing.assert_array_equal(one, pp.sample(run, key, 5, context=context))
    each = np.tile(np.array([0.5, -1.0]), (5, 1))
    np.testing.assert_array_equal(one, pp.sample(run, key, 5, label=1, vector=each))
    assert (one != pp.sample(run, key, 5, label=1, vector=[9, 9])).any()
    *_, rows = pp.sample_rows(run, key, 5, label=1, vector=[0.5, -1])
    np.testing.assert_array_equal(rows, one)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"label": 1}, "no vector was given, and it takes both or neither"),
        ({"vector": [0, 1]}, "no label was given, and it takes both or neither"),
        ({"label": 1, "vector": [0, 1, 2]}, "vector must be 2 numbers, or 3 rows of them"),
        ({"label": 1, "vector": np.zeros((2, 2))}, "vector must be 2 numbers, or 3 rows of them"),
        ({"label": 1, "vector": "old"}, "vector must be 2 numbers, .* got 'old'"),
        ({"label": 1, "vector": [0, np.nan]}, "vectors of finite numbers, got NaN"),
        (
            {"vector": [0, 1], "context": pp.Context()},
            "give vector or context, not both; a Context has a field for the vector",
        ),
        ({"guidance_schedule": "linear"}, "guidance_schedule=linear needs guidance; give"),
        ({"guidance": 2, "guidance_schedule": "steep"}, "one of constant, linear, cosine, got"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(in_memory, given, message):
    with pytest.raises(InputError, match=message):
        pp.sample(in_memory, jax.random.key(0), 3, **given)


@pytest.mark.slow
def test_guidance_with_a_schedule_from_python(in_memory):
    given = {"label": 1, "vector": [0.5, -1.0], "guidance": 3.0}
    images, linear = arrays()[0][:4].astype(np.int32), {"guidance_schedule": "linear"}
    model = pp.guided(in_memory.model, 3.0, "linear")
    context = pp.Context(label=jnp.ones(4, int), vector=jnp.tile(jnp.array([0.5, -1.0]), (4, 1)))
    scored = pp.log_prob(in_memory, images, **given, **linear)
    np.testing.assert_allclose(scored, model.log_prob(images, context), rtol=1e-6)
    np.testing.assert_array_equal(
        pp.sample(in_memory, jax.random.key(0), 4, **given, **linear),
        pp.sample(model, jax.random.key(0), 4, context=context),
    )


def test_training_hides_the_whole_condition_by_the_key_of_each_image():
    images, labels, attributes = arrays()
    model = tiny(num_classes=3, null_class=True)
    keys = jax.random.split(jax.random.key(3), 16)
    batch = {"image": images[:16].astype(np.int32), "label": labels[:16]}
    batch |= {"attributes": attributes[:16]}
    loss = pixel_loss(model, batch, keys, label_dropout=0.5)
    # By hand: each image alone, without any condition if its key says so.
    hiding, _ = split_keys(keys, 2)
    hidden = hide_condition(pp.Context(label=jnp.zeros(16, int)), 0.5, hiding).hidden
    assert 2 < hidden.sum() < 14
    with_, without = (
        model.log_prob(batch["image"], context)
        for context in (pp.Context(label=labels[:16], vector=attributes[:16]), None)
    )
    expected = -jnp.where(hidden, without, with_).mean() / (24 * jnp.log(2.0))
    np.testing.assert_allclose(loss.value, expected, rtol=1e-5)
    assert abs(float(with_.mean() - without.mean())) > 1e-3


# Conditions of samples.


def of_test_images(run, numbers):
    split = run.images[0].splits["test"]
    indices = np.asarray(numbers) % len(split)
    return split.source.read(indices)[1], split.source.attributes(indices)


def test_samples_take_class_and_attributes_of_test_images_in_turn(in_memory):
    numbers = np.arange(9, 14)  # of 12 test images
    labels, vectors = of_test_images(in_memory, numbers)
    context = Conditions(in_memory, None, {})(numbers)
    np.testing.assert_array_equal(context.label, labels)
    np.testing.assert_array_equal(context.vector, vectors)
    given = Conditions(in_memory, 2, {"ink": 0.25})(numbers)
    np.testing.assert_array_equal(given.label, np.full(5, 2))
    np.testing.assert_array_equal(given.vector, np.stack([vectors[:, 0], np.full(5, 0.25)], axis=1))
    samples = samples_of(in_memory, Request(4, [()], None, None, "auto"))
    key = jax.random.key(4)
    expected = pp.sample(in_memory, key, 5, context=context, first_image=9)
    np.testing.assert_array_equal(samples.draw(numbers), expected)
    assert samples.num_classes == 0  # no column for each class


@pytest.mark.slow
def test_completions_take_the_conditions_of_their_images(in_memory):
    numbers = np.arange(3)
    known = Known(
        lambda numbers: np.full((len(numbers), 4, 6, 1), -1),
        lambda numbers: numbers % 3,
        lambda numbers: np.stack([numbers, -numbers], axis=1).astype(np.float32),
    )
    drawn = samples_of(in_memory, Request(0, [()], None, None, "auto"), known).draw(numbers)
    vectors = np.array([[0, 0], [1, -1], [2, -2]], np.float32)
    expected = pp.sample(in_memory, jax.random.key(0), 3, label=numbers, vector=vectors)
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"slent": 1}, "the model has no attribute 'slent'; did you mean slant?"),
        ({"zzz": 1}, "the model has no attribute 'zzz'; they are slant, ink"),
    ],
)
def test_attributes_that_the_model_does_not_have_are_refused(in_memory, attributes, message):
    with pytest.raises(InputError, match=message):
        Conditions(in_memory, None, attributes)


# A run folder, and its file.


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    def make(path):
        images, _, attributes = arrays()
        np.savez(
            path / "data.npz",
            images=images * np.uint8(36),
            attributes=attributes,
            attribute_names=np.array(NAMES),
        )
        model = {"name": "gated_pixel_cnn", **TINY}
        settings = {"dataset": f"npz:{path / 'data.npz'}", "levels": 8, "model": model}
        settings |= {"attribute_conditional": True, "label_dropout": 0.25}
        pp.fit("digits", workdir=path / "run", **QUICK | settings)

    return once(tmp_path_factory, "attributes", make)


def drawn(run, out, **settings):
    defaults = {"num": 3, "batch_size": 3, "seed": 0, "strategies": [()], "label": None}
    defaults |= {"method": "cached", "checkpoint": "best", "averaged": True, "individual": False}
    sample_to_files(run, out, **defaults | settings)
    with np.load(out) as archive:
        return archive["images"]


@pytest.mark.slow
def test_a_run_folder_has_names_and_null_vector(folder, tmp_path):
    run = load_trained(folder / "run")
    assert run.data["attribute_names"] == NAMES
    assert run.model.context_shape.vector_features == 2 and run.model.context_shape.null_class
    assert pp.evaluate(run, baselines=False)["attribute_conditional"]
    both = {"slant": 1.0, "ink": -1.0}
    images = drawn(folder / "run", tmp_path / "a.npz", attributes=both)
    expected = pp.sample(run, jax.random.key(0), 3, vector=[1.0, -1.0])
    np.testing.assert_array_equal(images, np.rint(np.asarray(expected) * 255 / 7))
    guided = {"guidance": 2.0, "guidance_schedule": "cosine"}
    images = drawn(folder / "run", tmp_path / "b.npz", attributes=both, **guided)
    expected = pp.sample(run, jax.random.key(0), 3, vector=[1.0, -1.0], **guided)
    np.testing.assert_array_equal(images, np.rint(np.asarray(expected) * 255 / 7))


@pytest.mark.slow
def test_an_exported_file_keeps_the_names_and_needs_no_data(folder, tmp_path):
    file = tmp_path / "model.safetensors"
    pp.export(folder / "run", file, card=tmp_path / "card.md")
    run = pp.load_trained(file, data=tmp_path / "nowhere.npz")
    assert run.data["attribute_names"] == NAMES
    both = {"slant": 1.0, "ink": -1.0}
    expected = drawn(folder / "run", tmp_path / "a.npz", attributes=both)
    np.testing.assert_array_equal(drawn(file, tmp_path / "b.npz", attributes=both), expected)
    with pytest.raises(InputError, match="or give a number for each of slant, ink"):
        Conditions(run, None, {"ink": 1.0})
    card = (tmp_path / "card.md").read_text()
    assert "- attributes, in the order of a vector: slant, ink" in card
    assert "An attribute-conditional gated_pixel_cnn model" in card
    assert "vector=[0.0] * 2), run)" in card


# What does not fit.


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (tiny, {}, "conditioned on attributes; give attributes=..., one row for each image"),
        (
            tiny,
            {"attributes": np.zeros((COUNT, 3))},
            "takes vectors of 2 numbers, got 3",
        ),
        (tiny, {"attributes": np.zeros((COUNT - 1, 2))}, r"numbers \[60, k\], one row for each"),
        (tiny, {"attributes": {"a": np.zeros(COUNT), "b": np.zeros(3)}}, "each attribute must be"),
        ("digits", {"attributes": np.zeros((COUNT, 2))}, "set attribute_conditional=True, or"),
    ],
)
def test_arrays_that_do_not_fit_the_model_are_refused(model, given, message):
    model = model if isinstance(model, str) else model()
    with pytest.raises(InputError, match=message):
        pp.fit(model, arrays()[0], **given, **QUICK)


def test_attributes_without_images_are_refused():
    with pytest.raises(InputError, match="attributes were given without images"):
        pp.fit("digits", attributes=np.zeros((3, 2)), **QUICK)


def test_a_model_with_vectors_does_not_compress(in_memory):
    with pytest.raises(InputError, match="a model with vectors cannot compress"):
        pp.compress(in_memory, arrays()[0][:2].astype(np.int32))


# Priors: their attributes are those of the tokenizer's images.

CODES = {
    "tokenizer": {"features": 4, "residual_features": 2, "num_residual_blocks": 1},
    "quantizer": {"features": 4, "codebook_size": 8, "k_means_iterations": 2},
}
QUICK_PRIOR = QUICK | {"context": {"features": 4}, "attribute_conditional": True}


@pytest.fixture(scope="module")
def tokenizer():
    images, labels, attributes = arrays()
    sizes = CODES | {"tokenizer": CODES["tokenizer"] | {"strides": (2,)}}
    named = dict(zip(NAMES, attributes.T, strict=True))
    return pp.fit("digits:vqvae", images, labels, attributes=named, levels=8, **sizes | QUICK)


@pytest.fixture(scope="module")
def prior(tokenizer):
    return pp.fit("digits:prior", tokenizer=tokenizer, models={"top": TINY}, **QUICK_PRIOR)


@pytest.mark.slow
def test_the_codes_of_each_image_are_scored_given_its_own_class_and_attributes(prior):
    assert prior.data["attribute_names"] == NAMES
    result = pp.evaluate(prior)
    assert result["attribute_conditional"] and result["class_conditional"]
    split = prior.images[0].splits["test"]
    pixels, labels = split.source.read(np.arange(len(split)))
    vectors = split.source.attributes(np.arange(len(split)))
    codes = pp.encode(prior, pixels.astype(np.int32))
    of_all = -pp.log_prob(prior, codes, label=labels, vector=vectors)
    assert result["nats"] == pytest.approx(float(of_all.mean()), rel=1e-5)
    others = -pp.log_prob(prior, codes, label=labels, vector=vectors[::-1])
    assert np.abs(np.asarray(of_all - others)).max() > 1e-6
    few = pp.evaluate(prior, limit=5)
    assert few["nats"] == pytest.approx(float(of_all[:5].mean()), rel=1e-5)


@pytest.mark.slow
def test_codes_are_drawn_given_the_attributes_of_test_images(prior):
    numbers = np.arange(9, 14)  # of 12 test images
    labels, vectors = of_test_images(prior, numbers)
    drawn = samples_of(prior, Request(4, [()], None, None, "auto")).draw(numbers)
    given = pp.Context(label=jnp.asarray(labels), vector=jnp.asarray(vectors))
    expected = pp.sample(prior, jax.random.key(4), 5, context=given, first_image=9)
    jax.tree.map(np.testing.assert_array_equal, drawn, expected)
    both = {"slant": 0.5, "ink": -1.0}
    guided = {"guidance": 2.0, "guidance_schedule": "linear"}
    drawn = samples_of(prior, Request(4, [()], 1, 2.0, "auto", "linear", both)).draw(numbers)
    expected = pp.sample(
        prior, jax.random.key(4), 5, label=1, vector=[0.5, -1.0], first_image=9, **guided
    )
    jax.tree.map(np.testing.assert_array_equal, drawn, expected)
    *_, rows = pp.sample_rows(prior, jax.random.key(4), 5, label=1, vector=[0.5, -1.0])
    expected = pp.sample(prior, jax.random.key(4), 5, label=1, vector=[0.5, -1.0])
    jax.tree.map(np.testing.assert_array_equal, rows, expected)
    with pytest.raises(InputError, match="the model has no attribute 'slent'; did you mean slant"):
        samples_of(prior, Request(0, [()], None, None, "auto", attributes={"slent": 1.0}))


@pytest.mark.slow
def test_vectors_that_do_not_fit_a_prior_are_refused(prior, tokenizer):
    codes = [np.zeros((2, *grid.shape), int) for grid in prior.model.grids]
    with pytest.raises(InputError, match="no vector was given, and it takes both or neither"):
        pp.sample(prior, jax.random.key(0), 2, label=1)
    with pytest.raises(InputError, match="vector must be 2 numbers, or 2 rows of them"):
        pp.log_prob(prior, codes, label=1, vector=[0.0, 1.0, 2.0])
    with pytest.raises(InputError, match="a model with vectors cannot compress"):
        pp.compress(prior, codes)
    other = pp.Prior(prior.model.grids, [pp.PixelCNN], vector_features=3, rngs=nnx.Rngs(0))
    with pytest.raises(InputError, match="takes vectors of 3 numbers, got 2 attributes"):
        pp.fit(other, tokenizer=tokenizer, **QUICK)


def save_npz(path, attributes):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 8, (COUNT, 4, 8, 1)).astype(np.uint8)
    np.savez(path, images=images * np.uint8(36), attributes=attributes, attribute_names=NAMES)


@pytest.mark.slow
def test_a_tokenizer_in_memory_opens_a_file_again_for_the_attributes(tmp_path):
    save_npz(tmp_path / "data.npz", arrays()[2])
    sizes = CODES | {"tokenizer": CODES["tokenizer"] | {"strides": (2,)}}
    settings = {"dataset": f"npz:{tmp_path / 'data.npz'}", "levels": 8} | sizes
    tokenizer = pp.fit("digits:vqvae", **settings | QUICK)
    settings = {"models": {"top": TINY}, "class_conditional": False}
    run = pp.fit("digits:prior", tokenizer=tokenizer, **settings | QUICK_PRIOR)
    assert run.data["attribute_names"] == NAMES
    # The run has the attributes too, for measures and for samples.
    assert pp.evaluate(run)["attribute_conditional"]
    samples_of(run, Request(0, [()], None, None, "auto")).draw(np.arange(3))


@pytest.mark.slow
def test_a_tokenizer_of_arrays_keeps_their_attributes_in_its_folder(tmp_path):
    images, labels, attributes = arrays()
    sizes = CODES | {"tokenizer": CODES["tokenizer"] | {"strides": (2,)}}
    folder = tmp_path / "tokenizer"
    settings = {"models": {"top": TINY}} | QUICK_PRIOR
    given = {"attributes": attributes, "levels": 8, "workdir": folder}
    tokenizer = pp.fit("digits:vqvae", images, labels, **given, **sizes | QUICK)
    first = pp.fit("digits:prior", tokenizer=tokenizer, workdir=tmp_path / "a", **settings)
    # The codes are there, so the arrays are not needed again.
    second = pp.fit("digits:prior", tokenizer=folder, workdir=tmp_path / "b", **settings)
    weights = (nnx.state(run.model) for run in (first, second))
    jax.tree.map(np.testing.assert_array_equal, *weights)


@pytest.fixture(scope="module")
def prior_folder(tmp_path_factory):
    """A tokenizer of two levels, and a prior with attributes over its codes."""

    def make(path):
        save_npz(path / "data.npz", arrays()[2])
        sizes = CODES | {"tokenizer": CODES["tokenizer"] | {"strides": (2, 2)}}
        settings = {"dataset": f"npz:{path / 'data.npz'}", "levels": 8} | sizes
        pp.fit("digits:vqvae2", workdir=path / "tokenizer", **settings | QUICK)
        settings = {"models": {"top": TINY, "bottom": TINY}, "class_conditional": False}
        pp.fit(
            "digits:prior2",
            workdir=path / "prior",
            tokenizer=path / "tokenizer",
            **settings | QUICK_PRIOR,
        )

    return once(tmp_path_factory, "prior_with_attributes", make)


@pytest.fixture
def moved(prior_folder, tmp_path):
    """A copy of both folders and of their data, which a test may change."""
    folder = Path(shutil.copytree(prior_folder, tmp_path / "copy"))
    return folder, Place(folder / "data.npz")


@pytest.mark.slow
def test_a_prior_in_a_folder_and_its_file(prior_folder, tmp_path):
    folder, file = prior_folder / "prior", tmp_path / "prior.safetensors"
    run = load_trained(folder)
    assert run.data["attribute_names"] == NAMES and run.model.vector_features == 2
    # The tokenizer has not read them.
    assert load_trained(prior_folder / "tokenizer").data["attribute_names"] == []
    assert pp.evaluate(run)["attribute_conditional"]
    pp.export(folder, file, card=tmp_path / "card.md")
    again = load_trained(file, data=tmp_path / "nowhere.npz")
    both = {"slant": 1.0, "ink": -1.0}
    images = drawn(folder, tmp_path / "a.npz", attributes=both)
    pixels = pp.sample(
        run, jax.random.key(0), 3, vector=[1.0, -1.0], tokenizer=run, method="cached"
    )
    np.testing.assert_allclose(images, np.rint(np.asarray(pixels) * 255), atol=1)
    np.testing.assert_array_equal(drawn(file, tmp_path / "b.npz", attributes=both), images)
    with pytest.raises(InputError, match="or give a number for each of slant, ink"):
        Conditions(again, None, {"ink": 1.0})
    card = (tmp_path / "card.md").read_text()
    assert "An attribute-conditional gated_pixel_cnn and gated_pixel_cnn prior" in card
    assert "- attributes, in the order of a vector: slant, ink" in card
    assert "vector=[0.0] * 2), run)" in card


def config_of(folder, **changes):
    return json.loads((folder / "prior" / "config.json").read_text()) | changes


def open_task(config, moved, *, resumed=False, prior=None):
    folder, place = moved
    workdir = RunFolder(folder / "prior") if resumed else None
    places = {"place": place, "report": lambda event: None}
    task, _ = open_prior_task(config, workdir, folder / "tokenizer", prior, data_mesh(), **places)
    return task


@pytest.mark.slow
def test_codes_are_written_anew_for_other_attributes_alone(moved):
    folder, _ = moved
    [description] = (folder / "tokenizer" / "codes").glob("*/codes.json")
    before = description.read_bytes()
    config = config_of(folder)
    task = open_task(config, moved)
    plain = open_task(config | {"attribute_conditional": False}, moved)
    assert (task.num_attributes, plain.num_attributes) == (2, 0)
    assert plain.describe()["attribute_names"] == []
    assert description.read_bytes() == before
    batch = next(task.batches())
    wanted = {row.tobytes() for row in arrays()[2]}
    assert {row.tobytes() for row in batch["attributes"]} <= wanted
    save_npz(folder / "data.npz", arrays()[2] + 1)
    other = open_task(config, moved)
    assert description.read_bytes() != before
    assert other.describe()["attribute_contents"] != task.describe()["attribute_contents"]
    assert {row.tobytes() for row in next(other.batches())["attributes"]}.isdisjoint(wanted)
    save_npz(folder / "data.npz", arrays()[2])
    assert open_task(config, moved).describe() == task.describe()


@pytest.mark.slow
def test_a_prior_keeps_its_attributes(moved):
    folder, place = moved
    config = config_of(folder)
    contents = open_task(config, moved, resumed=True).describe()["attribute_contents"]
    bottom = config | {"trained_levels": ("bottom",)}
    assert open_task(bottom, moved, prior=folder / "prior").learned == ["top", "bottom"]
    save_npz(folder / "data.npz", arrays()[2] + 1)
    changed = f"the content of the attributes was '{contents}', and is now"
    with pytest.raises(InputError, match=changed):
        pp.evaluate(load_trained(folder / "prior").at_place(place))
    with pytest.raises(InputError, match=changed):
        open_task(config, moved, resumed=True)
    with pytest.raises(InputError, match="was trained with other attributes of the images"):
        open_task(bottom, moved, prior=folder / "prior")
    # Codes that were made before are enough where the images are not.
    (folder / "data.npz").unlink()
    assert open_task(config, moved, resumed=True).num_attributes == 2


@pytest.mark.slow
def test_a_prior_needs_attributes_of_its_images(moved, tmp_path):
    folder, _ = moved
    save_npz(tmp_path / "data.npz", arrays()[2])
    with np.load(tmp_path / "data.npz") as archive:
        np.savez(folder / "data.npz", images=archive["images"])
    with pytest.raises(InputError, match="must have an array 'attributes'"):
        open_task(config_of(folder), moved)

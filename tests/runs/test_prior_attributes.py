"""Runs of priors conditioned on the attributes of their tokenizer's images."""

import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import pixelprior as pp
from pixelprior.coding.codec import Codec
from pixelprior.errors import InputError
from pixelprior.experiment import Place
from pixelprior.runs.compression.blocks import Blocks
from pixelprior.runs.compression.sources import Given, open_source
from pixelprior.runs.conditions import Conditions
from pixelprior.runs.load import load_trained
from pixelprior.runs.prior_task import open_prior_task
from pixelprior.runs.samples import Request, samples_of
from pixelprior.system.devices import data_mesh
from pixelprior.training.run_folder import RunFolder
from tests.runs.with_attributes import COUNT, NAMES, QUICK, TINY, arrays, drawn, of_test_images
from tests.shared_runs import once

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
def test_codes_are_compressed_given_the_attributes_of_their_images(prior, monkeypatch):
    settings = {"split": "test", "limit": 7, "given": Given(), "quantise": False}
    source = open_source(prior, [], report=print, **settings)
    codec = Codec(prior.model, batch_size=3)  # read in batches, which are joined
    (block,) = Blocks(prior, codec, source)
    labels, vectors = of_test_images(prior, np.arange(7))
    np.testing.assert_array_equal(block.context.label, labels)
    np.testing.assert_array_equal(block.context.vector, vectors)
    stream = codec.write(block.maps, block.context)
    again = codec.read(stream, 7, block.context)
    jax.tree.map(np.testing.assert_array_equal, again, list(block.maps))


@pytest.mark.slow
def test_vectors_that_do_not_fit_a_prior_are_refused(prior, tokenizer):
    codes = [np.zeros((2, *grid.shape), int) for grid in prior.model.grids]
    with pytest.raises(InputError, match="no vector was given, and it takes both or neither"):
        pp.sample(prior, jax.random.key(0), 2, label=1)
    with pytest.raises(InputError, match="vector must be 2 real numbers, or 2 rows of them"):
        pp.log_prob(prior, codes, label=1, vector=[0.0, 1.0, 2.0])
    with pytest.raises(InputError, match="no vector was given, and it takes both or neither"):
        pp.compress(prior, codes, 1)
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
    with pytest.raises(InputError, match="has no array 'attributes'"):
        open_task(config_of(folder), moved)

"""Runs of pixel models conditioned on attributes: trained, sampled, scored, exported."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import pixelprior as pp
from pixelprior.cli.compress_images import compress_images
from pixelprior.cli.decompress_images import decompress_images
from pixelprior.context import hide_condition
from pixelprior.errors import InputError
from pixelprior.experiment import Place
from pixelprior.figures.sheets import save_image
from pixelprior.nn.image_keys import split_keys
from pixelprior.runs.compression.sources import Given, open_source
from pixelprior.runs.conditions import Conditions
from pixelprior.runs.load import load_trained
from pixelprior.runs.samples import Known, Request, samples_of
from pixelprior.training.tasks.pixels import pixel_loss
from tests.runs.with_attributes import (
    COUNT,
    NAMES,
    QUICK,
    TINY,
    arrays,
    drawn,
    of_test_images,
)
from tests.shared_runs import once

GRID = pp.Grid(height=4, width=6, channels=1, levels=8)


def tiny(**settings):
    return pp.GatedPixelCNN(GRID, **TINY, vector_features=2, **settings, rngs=nnx.Rngs(0))


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
        ({"label": 1, "vector": [0, 1, 2]}, "vector must be 2 real numbers, or 3 rows of them"),
        (
            {"label": 1, "vector": np.zeros((2, 2))},
            "vector must be 2 real numbers, or 3 rows of them",
        ),
        ({"label": 1, "vector": "old"}, "vector must be 2 real numbers, .* got 'old'"),
        ({"label": 1, "vector": np.zeros((3, 2), complex)}, r"got complex128 of shape \[3, 2\]"),
        ({"label": 1, "vector": {"slant": 1, "ink": 0}}, r"got object of shape \[\]"),
        ({"label": 1, "vector": [0, np.nan]}, "vector must hold finite numbers .*, got nan"),
        ({"label": 1, "vector": [1e300, 0]}, r"finite numbers of at most 3.4e\+38, got 1e\+300"),
        ({"label": 1, "vector": [0, 1], "guidance": np.nan}, "guidance must be a number from"),
        ({"label": 1, "vector": [0, 1], "guidance": 1e40}, r"to 1,000,000, got 1e\+40"),
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


def compressed(folder, out, *places, split=None, **attributes):
    compress_images(
        [str(place) for place in places],
        out,
        workdir=folder / "run",
        split=split,
        limit=None,
        label=None,
        attributes=attributes,
        quantise=True,
        codes=False,
        batch_size=4,
        verify=True,
        overwrite=True,
        place=Place(None, None),
    )


def restored(file):
    arrays = file.with_suffix(".npz")
    decompress_images(file, arrays, workdir=None, force=False, overwrite=True)
    with np.load(arrays) as archive:
        return dict(archive)


@pytest.mark.slow
def test_compressed_images_keep_their_attributes(folder, tmp_path, capfd):
    file, run = tmp_path / "a.ppz", load_trained(folder / "run")
    compressed(folder, file, split="test")
    again = restored(file)
    symbols, _ = run.read("test")
    np.testing.assert_array_equal(again["images"], np.rint(symbols * 255 / 7))
    vectors = run.open_data()[0].split("test").source.attributes(np.arange(12))
    np.testing.assert_array_equal(again["attributes"], vectors)
    assert again["attribute_names"].tolist() == NAMES and "labels" not in again
    # The arrays that came back are compressed to the same bytes, also with columns that moved.
    moved = again | {"attributes": again["attributes"][:, ::-1], "attribute_names": NAMES[::-1]}
    for content in (again, moved):
        np.savez(tmp_path / "b.npz", **content)
        compressed(folder, tmp_path / "b.ppz", tmp_path / "b.npz")
        assert (tmp_path / "b.ppz").read_bytes() == file.read_bytes()
    # A given attribute is that of all images, and the other ones are their own.
    compressed(folder, tmp_path / "b.ppz", tmp_path / "b.npz", ink=2.0)
    expected = np.stack([vectors[:, 0], np.full(12, 2.0)], axis=1)
    np.testing.assert_array_equal(restored(tmp_path / "b.ppz")["attributes"], expected)
    # Arrays without attributes: unknown to this model, which has a null class, or given.
    np.savez(tmp_path / "c.npz", images=again["images"])
    capfd.readouterr()
    compressed(folder, tmp_path / "c.ppz", tmp_path / "c.npz")
    assert (
        "c.npz: the images have no attributes; the model treats them without"
        in capfd.readouterr().err
    )
    assert "attributes" not in restored(tmp_path / "c.ppz")
    with pytest.raises(InputError, match="c.npz; give all of them with --attributes=..."):
        compressed(folder, file, tmp_path / "c.npz", ink=2.0)
    compressed(folder, file, tmp_path / "c.npz", ink=2.0, slant=1.0)
    np.testing.assert_array_equal(restored(file)["attributes"], np.tile([1.0, 2.0], (12, 1)))
    # Given attributes replace those of the file, which then need not fit.
    np.savez(tmp_path / "d.npz", images=again["images"], attributes=vectors)
    compressed(folder, file, tmp_path / "d.npz", ink=2.0, slant=1.0)
    np.testing.assert_array_equal(restored(file)["attributes"], np.tile([1.0, 2.0], (12, 1)))
    slants = {"attributes": vectors[:, :1], "attribute_names": NAMES[:1]}
    np.savez(tmp_path / "e.npz", images=again["images"], **slants)
    compressed(folder, file, tmp_path / "e.npz", ink=2.0)
    np.testing.assert_array_equal(restored(file)["attributes"], expected)
    # Image files have them in a file of their folder.
    (tmp_path / "two").mkdir()
    for name, image in zip("ba", again["images"][:2], strict=True):
        save_image(image.astype(np.int32), 256, tmp_path / "two" / f"{name}.png")
    compressed(folder, file, tmp_path / "two", ink=2.0, slant=1.0)
    np.testing.assert_array_equal(restored(file)["images"], again["images"][1::-1])
    table = "file,ink,slant\nb.png,0.5,1.5\na.png,-1,2\nanother.png,7,7\n"
    (tmp_path / "two" / "attributes.csv").write_text(table)
    compressed(folder, file, tmp_path / "two")
    np.testing.assert_array_equal(restored(file)["attributes"], [[2.0, -1.0], [1.5, 0.5]])
    compressed(folder, file, tmp_path / "two", ink=3.0)
    np.testing.assert_array_equal(restored(file)["attributes"], [[2.0, 3.0], [1.5, 3.0]])
    with pytest.raises(InputError, match="d.npz are 0, 1, and the model needs slant, ink too"):
        compressed(folder, file, tmp_path / "d.npz")


@pytest.mark.slow
def test_the_class_and_the_attributes_belong_together(in_memory, tmp_path):
    images, labels, attributes = arrays()
    few = {"images": np.rint(images[:5] * (255 / 7)).astype(np.uint8)}
    both = {"labels": labels[:5].astype(np.int32), "attributes": attributes[:5]}
    both |= {"attribute_names": np.array(NAMES)}

    def conditions(given, **content):
        np.savez(tmp_path / "x.npz", **few, **content)
        settings = {"split": None, "limit": None, "given": given, "quantise": False}
        source = open_source(in_memory, [str(tmp_path / "x.npz")], report=print, **settings)
        return source.read(range(1, 4))[1]

    found = conditions(Given(), **both)
    np.testing.assert_array_equal(found.label, labels[1:4])
    np.testing.assert_array_equal(found.vector, attributes[1:4])
    assert conditions(Given()) is None
    named = {name: both[name] for name in ("attributes", "attribute_names")}
    for given, content, message in (
        (Given(), {"labels": both["labels"]}, "needs the attributes of the images in .*x.npz"),
        (Given(1), {}, "needs the attributes of the images in .*x.npz"),
        (Given(None, {"ink": 1.0}), {}, "needs the attributes of the images in .*x.npz"),
        (Given(), named, "needs the class of the images in .*x.npz beside their attributes"),
        (Given(), both | {"labels": both["labels"] + 1}, r"classes in \[0, 3\) in .*x.npz, got 1"),
        (Given(2, {"slent": 1.0}), both, "the model has no attribute 'slent'"),
    ):
        with pytest.raises(InputError, match=message):
            conditions(given, **content)
    given = conditions(Given(2, {"ink": 0.5}), **named)
    np.testing.assert_array_equal(given.label, [2, 2, 2])
    np.testing.assert_array_equal(given.vector[:, 1], [0.5] * 3)


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

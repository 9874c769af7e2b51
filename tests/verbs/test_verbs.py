"""The public verbs: one compilation for each shape."""

import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import pixelprior as pp
from pixelprior import jitted
from pixelprior.progress import Advance, Finished
from tests.compilations import compilations
from tests.verbs.models import GRID, KEY, SMALL


def test_every_public_name_is_there():
    for name in pp.__all__:
        assert getattr(pp, name) is not None
    assert set(pp.__all__) <= set(dir(pp))
    with pytest.raises(AttributeError, match="has no attribute 'smaple'"):
        pp.smaple  # noqa: B018 - asked for in vain


def test_importing_costs_little_and_sets_nothing():
    code = (
        "import sys, pixelprior; assert 'jax' not in sys.modules; import jax; "
        "before = dict(jax.config.values); pixelprior.Grid, pixelprior.sample, pixelprior.fit; "
        "assert jax.config.values == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Values: each verb is the method of the model.


def test_log_prob_is_that_of_the_model(model, prior, tokenizer):
    x = np.asarray(pp.sample(model, KEY, 3, label=2))
    label = jnp.full(3, 2)
    expected = model.log_prob(x, pp.Context(label=label))
    for found in (
        pp.log_prob(model, x, label=2),
        pp.log_prob(model, x, label=[2, 2, 2]),
        pp.log_prob(model, x, context=pp.Context(label=label)),
        # Guided by 1 a model is itself.
        pp.log_prob(model, x, label=2, guidance=1.0),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    codes, context = pp.sample(prior, KEY, 3, label=2), pp.Context(label=label)
    expected = prior.log_prob(codes, context)
    for given in ({"label": 2}, {"context": context}):
        np.testing.assert_allclose(pp.log_prob(prior, codes, **given), expected, rtol=1e-5)


def test_samples_are_those_of_the_methods(model, prior, tokenizer):
    label = jnp.arange(4) % 3
    rows = list(pp.sample_rows(model, KEY, 4, label=label))
    np.testing.assert_array_equal(rows[-1], pp.sample(model, KEY, 4, label=label))
    assert len(rows) == GRID.height
    codes = prior.sample(KEY, 4, context=pp.Context(label=label))
    chex.assert_trees_all_equal(list(pp.sample(prior, KEY, 4, label=label)), list(codes))
    *_, last = pp.sample_rows(prior, KEY, 4, label=label)
    chex.assert_trees_all_equal(list(last), list(codes))
    images = pp.sample(prior, KEY, 4, label=label, tokenizer=tokenizer)
    np.testing.assert_allclose(images, pp.decode(tokenizer, codes), atol=1e-6)


def test_codes_of_symbols_and_of_pixels(tokenizer):
    symbols = np.random.default_rng(0).integers(0, 17, (2, 8, 8, 1))
    pixels = (symbols / 16).astype(np.float32)
    codes = pp.encode(tokenizer, pixels)
    chex.assert_trees_all_equal(codes, pp.encode(tokenizer, symbols))
    chex.assert_shape(codes, [(2, 2, 2, 1), (2, 4, 4, 1)])
    np.testing.assert_allclose(
        pp.reconstruct(tokenizer, pixels), pp.decode(tokenizer, codes), atol=1e-6
    )


def test_pictures(model, prior, tokenizer):
    images = np.asarray(pp.sample(model, KEY, 4, label=0))
    shown = pp.show(images, model, columns=2)
    # By hand: two columns of 6 pixels and two rows of 4, each enlarged 12 times, lines of 2.
    assert shown.size == (2 * (6 * 12 + 2) + 2, 2 * (4 * 12 + 2) + 2)
    assert shown.getpixel((3, 3)) == round(int(images[0, 0, 0, 0]) / 7 * 255)
    unknown = np.where(np.arange(4)[:, None, None] < 2, images, pp.UNKNOWN)
    assert pp.show(unknown, model, columns=2).getpixel((3, 40)) == 128
    codes = pp.sample(prior, KEY, 4, label=0)
    assert pp.show(codes, tokenizer=tokenizer).size == pp.show(codes, tokenizer).size
    assert pp.show(np.zeros((1, 4, 4, 3), np.uint8)).mode == "RGB"


# Compilations.


@pytest.mark.slow
def test_each_verb_compiles_once_for_a_shape(model, prior, tokenizer):
    images = pp.sample(model, KEY, 2, label=1)
    codes = pp.sample(prior, KEY, 2, label=1)
    pixels = pp.decode(tokenizer, codes)

    def verbs(seed, label):
        key = jax.random.key(seed)
        pp.sample(model, key, 2, label=label, strategy=pp.Temperature(0.5 + seed))
        pp.sample(prior, key, 2, label=label)
        pp.log_prob(model, images, label=label)
        pp.log_prob(prior, codes, label=label)
        pp.encode(tokenizer, pixels)
        pp.decode(tokenizer, codes)
        pp.reconstruct(tokenizer, pixels)

    verbs(1, 1)
    with compilations() as compiled:
        verbs(2, 2)
    assert not compiled


@pytest.mark.slow
def test_models_of_one_structure_share_a_program(plain):
    other = pp.PixelCNN(GRID, **SMALL, rngs=nnx.Rngs(7))
    x = jnp.zeros((2, *GRID.shape), jnp.int32)
    first = jitted.log_prob(plain, x)
    with compilations() as compiled:
        second = jitted.log_prob(other, x)
    assert not compiled and (first != second).all()


def test_inside_jitted_code_of_the_callers_own(plain):
    graph, weights = nnx.split(plain)

    @jax.jit
    @chex.assert_max_traces(n=1)
    def draw(weights, key):
        own = nnx.merge(graph, weights)
        x = pp.sample(own, key, 2, strategy=pp.TopK(2))
        return x, pp.log_prob(own, x)

    x, log_prob = draw(weights, KEY)
    draw(weights, jax.random.key(1))
    np.testing.assert_array_equal(x, pp.sample(plain, KEY, 2, strategy=pp.TopK(2)))
    np.testing.assert_allclose(log_prob, pp.log_prob(plain, x), rtol=1e-5)


def test_an_evaluation_reports_its_images(monkeypatch):
    events = []
    run = pp.load_trained("digits")
    pp.evaluate(run, baselines=False, batch_size=100, report=events.append)
    assert [event for event in events if isinstance(event, Advance | Finished)] == [
        *(Advance("evaluate", done, 359, "image") for done in (0, 100, 200, 300)),
        Finished("evaluate"),
        Finished("evaluate in raster order"),
        Finished("evaluate under all classes"),
        Finished("reconstruct"),
    ]


def test_a_run_is_described_in_one_line():
    run = pp.load_trained("fashion_mnist_prior")
    assert repr(run).startswith("Run(Prior of fashion_mnist, fashion_mnist_prior, bundled model ")
    assert len(repr(run)) < 200

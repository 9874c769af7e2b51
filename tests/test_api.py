"""The public verbs: one compilation for each shape, and words for whatever does not fit."""

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
from tests.compilations import compilations

GRID = pp.Grid(height=4, width=6, channels=1, levels=8)
SMALL = {"features": 4, "num_layers": 1, "embedding_features": 4, "head_features": 8}
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def model():
    return pp.GatedPixelCNN(GRID, **SMALL, num_classes=3, null_class=True, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def plain():
    return pp.PixelCNN(GRID, **SMALL, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def tokenizer():
    return pp.VQVAE2(
        pp.Grid(height=8, width=8, channels=1, levels=17),
        strides=(2, 2),
        features=4,
        residual_features=2,
        num_residual_blocks=1,
        quantizer=lambda rngs: pp.VectorQuantizer(4, codebook_size=8, rngs=rngs),
        rngs=nnx.Rngs(0),
    )


@pytest.fixture(scope="module")
def prior(tokenizer):
    def make(grid, **settings):
        return pp.PixelCNN(grid, **SMALL, **settings)

    return pp.Prior(
        tokenizer.code_grids, [make, make], num_classes=3, context_features=4, rngs=nnx.Rngs(1)
    )


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
    codes = pp.sample(prior, KEY, 3, label=2)
    np.testing.assert_allclose(
        pp.log_prob(prior, codes, label=2), prior.log_prob(codes, label), rtol=1e-5
    )


def test_samples_are_those_of_the_methods(model, prior, tokenizer):
    label = jnp.arange(4) % 3
    rows = list(pp.sample_rows(model, KEY, 4, label=label))
    np.testing.assert_array_equal(rows[-1], pp.sample(model, KEY, 4, label=label))
    assert len(rows) == GRID.height
    codes = prior.sample(KEY, 4, label=label)
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


# Words.

X = np.zeros((2, 4, 6, 1), int)
CODES = [np.zeros((2, 2, 2, 1), int), np.zeros((2, 4, 4, 1), int)]

WRONG = {
    "an int as key": (
        lambda m: pp.sample(m.plain, 0, 2),
        "key must be .* got 0; use jax",
    ),
    "keys": (lambda m: pp.sample(m.plain, jax.random.split(KEY), 2), "key must be one JAX key"),
    "no number": (lambda m: pp.sample(m.plain, KEY, "2"), "num must be an integer .* got '2'"),
    "none of them": (lambda m: pp.sample(m.plain, KEY, 0), "num must be an integer of at least 1"),
    "a number as context": (
        lambda m: pp.sample(m.model, KEY, 2, context=3),
        "expected a Context, got 3; a class is given as label=3",
    ),
    "a context of a number": (
        lambda m: pp.sample(m.model, KEY, 2, context=pp.Context(label=3)),
        "expected an array of one integer label per grid",
    ),
    "a context of a list": (
        lambda m: m.model.log_prob(X, pp.Context(label=[1, 2])),
        "expected an array of one integer label per grid",
    ),
    "both": (
        lambda m: pp.sample(m.model, KEY, 2, label=1, context=pp.Context()),
        "give label or context, not both",
    ),
    "no such class": (
        lambda m: pp.sample(m.model, KEY, 2, label=9),
        r"expected labels in \[0, 3\), got 9 to 9",
    ),
    "labels of another number": (
        lambda m: pp.sample(m.model, KEY, 2, label=[0, 1, 2]),
        "or one index for each of 2 images",
    ),
    "a name without a run": (
        lambda m: pp.sample(m.model, KEY, 2, label="cat"),
        "names of classes need a run, got 'cat' for a model",
    ),
    "a label for an unconditional model": (
        lambda m: pp.sample(m.plain, KEY, 2, label=1),
        "this model is unconditional",
    ),
    "a number to a prior's method": (
        lambda m: m.prior.sample(KEY, 2, label=3),
        "expected an array of one integer label per grid",
    ),
    "a context for a prior": (
        lambda m: pp.sample(m.prior, KEY, 2, context=pp.Context()),
        "a prior is conditioned on classes alone",
    ),
    "a tokenizer": (lambda m: pp.sample(m.tokenizer, KEY, 2), "a tokenizer has no distribution"),
    "a path": (lambda m: pp.sample("runs/x", KEY, 2), r"got a path; use pp.load\('runs/x'\)"),
    "nothing": (lambda m: pp.log_prob(None, X), "expected a model or a run, got NoneType"),
    "floats as symbols": (
        lambda m: pp.log_prob(m.plain, X.astype(float)),
        "expected integer symbols",
    ),
    "a list as symbols": (
        lambda m: pp.log_prob(m.plain, X.tolist()),
        "expected one array of symbols .* got list",
    ),
    "symbols out of range": (lambda m: pp.log_prob(m.plain, X + 8), "got values from 8 to 8"),
    "one array of codes": (
        lambda m: pp.decode(m.tokenizer, CODES[0]),
        "expected a list of 2 maps of codes, the coarsest first, got one ndarray",
    ),
    "one array of codes to a prior": (
        lambda m: pp.log_prob(m.prior, CODES[0], label=1),
        "expected a list of 2 maps of codes",
    ),
    "one array of known codes": (
        lambda m: pp.sample(m.prior, KEY, 2, known=CODES[0]),
        "known must be a list of 2 maps|expected known codes as a list of 2 maps",
    ),
    "a list as what is known": (
        lambda m: pp.sample(m.plain, KEY, 2, known=X.tolist()),
        "known must be an array of shape",
    ),
    "codes that there are not": (
        lambda m: pp.decode(m.tokenizer, [CODES[0], CODES[1] + 8]),
        r"expected symbols in \[0, 8\)",
    ),
    "codes of a pixel model": (
        lambda m: pp.encode(m.plain, X),
        "expected a tokenizer or its run, got a PixelCNN",
    ),
    "codes of a prior alone": (
        lambda m: pp.decode(m.prior, CODES),
        r"a prior alone gives codes; give its run .*, or tokenizer=",
    ),
    "a prior's codes as a picture": (
        lambda m: pp.show(CODES, m.prior),
        "a prior alone gives codes",
    ),
    "codes of nothing as a picture": (
        lambda m: pp.show(CODES),
        "codes need the run of their prior",
    ),
    "symbols of nothing as a picture": (
        lambda m: pp.show(X),
        r"symbols of type int64 need their model to be shown: pp.show\(x, model\)",
    ),
    "one image as a picture": (lambda m: pp.show(X[0], m.plain), r"expected images \[n, height"),
    "images as lists": (
        lambda m: pp.encode(m.tokenizer, [[0.0]]),
        r"images must be one array .*, got a list; use jnp.stack",
    ),
    "a number as a strategy": (
        lambda m: pp.sample(m.plain, KEY, 2, strategy=0.5),
        r"strategy must be a strategy such as pp.Temperature\(0.9\), .*, got 0.5",
    ),
    "a function as a strategy": (
        lambda m: pp.sample(m.plain, KEY, 2, strategy=abs),
        "strategy must be a strategy",
    ),
    "a temperature in words": (
        lambda m: pp.sample(m.plain, KEY, 2, strategy=pp.Temperature("a")),
        "temperature of Temperature must be a number, got 'a'",
    ),
    "a list as a temperature": (
        lambda m: pp.sample(m.plain, KEY, 2, strategy=pp.Temperature([0.5, 1.0])),
        "temperature of Temperature must be a number",
    ),
    "an image before the first": (
        lambda m: pp.sample(m.plain, KEY, 2, first_image=-1),
        "first_image must be an integer from 0, .*, got -1",
    ),
    "half an image": (
        lambda m: pp.sample_rows(m.plain, KEY, 2, first_image=1.5),
        "first_image must be an integer from 0",
    ),
    "an image beyond the last": (
        lambda m: pp.sample(m.plain, KEY, 3, first_image=2**31 - 2),
        "first_image must be an integer from 0",
    ),
    "a label beyond 32 bits": (
        lambda m: pp.sample(m.model, KEY, 2, label=2**40),
        "label must be a class",
    ),
    "labels beyond 32 bits": (
        lambda m: pp.sample(m.model, KEY, 2, label=np.array([2**32 + 1, 1])),
        "label must be a class",
    ),
    "a class as a strategy": (
        lambda m: list(pp.sample_rows(m.plain, KEY, 2, strategy=[pp.Temperature])),
        "strategy must be a strategy",
    ),
    "no such sampler": (
        lambda m: pp.sample(m.plain, KEY, 2, method="fast"),
        "method must be one of",
    ),
    "guidance of a model without": (
        lambda m: pp.sample(m.plain, KEY, 2, guidance=2.0),
        "guidance needs a class-conditional model",
    ),
    "guidance in words": (
        lambda m: pp.sample(m.model, KEY, 2, label=1, guidance="2"),
        "guidance must be a number, got '2'",
    ),
    "the null class as a label": (
        lambda m: pp.sample(m.model, KEY, 2, label=3),
        r"expected labels in \[0, 3\), got 3; leave label out",
    ),
    "the null class as a prior's label": (
        lambda m: pp.log_prob(m.prior, CODES, label=[0, 3]),
        r"expected labels in \[0, 3\), got 3; leave label out",
    ),
    "strategies of levels for a pixel model": (
        lambda m: pp.sample(m.plain, KEY, 2, strategy=[[pp.Greedy()]]),
        "strategy must be a strategy",
    ),
    "no sampler": (lambda m: pp.sample(m.plain, KEY, 2, method=None), "method must be one of"),
    "samplers": (lambda m: pp.sample(m.prior, KEY, 2, method=[]), "method must be one of"),
    "a table as guidance": (
        lambda m: pp.sample(m.model, KEY, 2, label=1, guidance=[[1.0], [1.0, 2.0]]),
        "guidance must be a number",
    ),
    "a word as a prior's guidance": (
        lambda m: pp.sample(m.prior, KEY, 2, label=1, guidance="2"),
        "guidance must be a number, got '2'",
    ),
    "endless guidance": (
        lambda m: pp.sample(m.model, KEY, 2, label=1, guidance=float("nan")),
        "guidance must be a number, got nan",
    ),
    "pixels that are no numbers": (
        lambda m: pp.encode(m.tokenizer, np.full((1, 8, 8, 1), np.nan, np.float32)),
        r"expected pixels in \[0, 1\], got values from nan to nan",
    ),
    "pixels of 8 bits as floats": (
        lambda m: pp.reconstruct(m.tokenizer, np.full((1, 8, 8, 1), 255.0, np.float32)),
        r"expected pixels in \[0, 1\], got values from 255.0 to 255.0; divide",
    ),
    "no images": (
        lambda m: pp.encode(m.tokenizer, np.zeros((0, 8, 8, 1), int)),
        "expected at least one image, got none",
    ),
    "no codes": (
        lambda m: pp.decode(m.tokenizer, [codes[:0] for codes in CODES]),
        "expected the codes of at least one image, got none",
    ),
    "images as a list": (
        lambda m: pp.show([X[0]]),
        r"images are one array \[n, height, width, channels\], not a list",
    ),
    "half a column": (lambda m: pp.show(X, m.plain, columns=2.5), "columns must be an integer"),
    "no column": (lambda m: pp.show(X, m.plain, columns=0), "columns must be an integer"),
    "a number as a folder": (lambda m: pp.load(3), "a run folder must be a path, got 3"),
    "no folder": (lambda m: pp.load_trained(None), "a run folder must be a path, got None"),
    "a folder without a name": (
        lambda m: pp.fit("digits", workdir=""),
        "a run folder must be a path, got ''",
    ),
    "progress of a number": (
        lambda m: pp.fit("digits", progress=3),
        "progress must be True, False or a function",
    ),
    "no devices": (lambda m: pp.fit("digits", devices=[]), "devices must be a list such as"),
    "a number of devices": (lambda m: pp.fit("digits", devices=2), "devices must be a list"),
    "a rate that is no number": (
        lambda m: pp.fit("digits", learning_rate=float("nan")),
        "config.learning_rate must be a finite number, got nan",
    ),
    "a number as a grid": (
        lambda m: pp.PixelCNN(3, rngs=nnx.Rngs(0)),
        r"grid must be a Grid such as pp.Grid\(.*\), got 3",
    ),
    "a tokenizer of a number": (lambda m: pp.VQVAE(3, rngs=nnx.Rngs(0)), "grid must be a Grid"),
    "a number as a prior's grids": (
        lambda m: pp.Prior(3, [pp.PixelCNN], rngs=nnx.Rngs(0)),
        "grids must be a list of the grids of the codes",
    ),
    "a number as a prior's model": (
        lambda m: pp.Prior([GRID], [3], rngs=nnx.Rngs(0)),
        "models must be a list of constructors",
    ),
    "classes below none": (
        lambda m: pp.PixelSNAIL(GRID, num_classes=-1, rngs=nnx.Rngs(0)),
        "num_classes must be an integer of at least 0, got -1",
    ),
    "one number as levels of a quantizer": (
        lambda m: pp.FiniteScalarQuantizer(8),
        r"levels must be integers of at least 2, .* such as \(8, 5, 5\), got 8",
    ),
    "a tokenizer for pixels": (
        lambda m: pp.sample(m.plain, KEY, 2, tokenizer=m.tokenizer),
        "tokenizer is for the codes of a prior",
    ),
    "a model to evaluate": (lambda m: pp.evaluate(m.plain), "expected a run or a run folder"),
    "no such run": (lambda m: pp.evaluate("nowhere"), "nowhere is not a run folder"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_refused_in_words(name, model, plain, prior, tokenizer):
    call, words = WRONG[name]
    models = type("Models", (), dict(model=model, plain=plain, prior=prior, tokenizer=tokenizer))
    with pytest.raises(pp.InputError, match=words):
        call(models)


@pytest.mark.parametrize("setting", ["features", "head_features", "num_mixtures", "dropout_rate"])
@pytest.mark.parametrize("value", [-1, "a", None])
@pytest.mark.parametrize(
    "kind",
    [
        pp.PixelCNN,
        pp.GatedPixelCNN,
        pp.PixelCNNPP,
        pp.RowLSTM,
        pp.DiagonalBiLSTM,
        pp.PixelSNAIL,
        pp.Transformer,
        pp.MultiScale,
    ],
)
def test_sizes_of_every_model_are_checked(kind, setting, value):
    with pytest.raises(pp.InputError, match=f"{setting} must be .*, got {value!r}"):
        kind(GRID, rngs=nnx.Rngs(0), **{setting: value})

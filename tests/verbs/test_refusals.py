"""Words for whatever does not fit a verb or a constructor."""

import jax
import numpy as np
import pytest
from flax import nnx

import pixelprior as pp
from tests.verbs.models import GRID, KEY

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
        "this model has no classes",
    ),
    "a number to a prior's method": (
        lambda m: m.prior.sample(KEY, 2, context=pp.Context(label=3)),
        "expected an array of one integer label per grid",
    ),
    "a vector for a prior without vectors": (
        lambda m: pp.sample(m.prior, KEY, 2, label=1, vector=[0.0]),
        "a vector was given, but this model was built without vector_features",
    ),
    "a map for a prior": (
        lambda m: pp.sample(m.prior, KEY, 2, context=pp.Context(map=np.zeros((2, 2, 2, 4)))),
        "a map was given, but this model was built without map_features",
    ),
    "an order for a prior": (
        lambda m: pp.sample(m.prior, KEY, 2, label=1, order=np.arange(4).reshape(2, 2)),
        "order is for pixel models",
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
        "guidance needs a model conditioned on classes or vectors",
    ),
    "guidance in words": (
        lambda m: pp.sample(m.model, KEY, 2, label=1, guidance="2"),
        "guidance must be a number from -1,000,000 to 1,000,000, got '2'",
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
        "guidance must be a number from -1,000,000 to 1,000,000, got '2'",
    ),
    "endless guidance": (
        lambda m: pp.sample(m.model, KEY, 2, label=1, guidance=float("nan")),
        "guidance must be a number from -1,000,000 to 1,000,000, got nan",
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
    "a model to export": (
        lambda m: pp.export(m.plain, "a.safetensors"),
        "expected a run or a run folder",
    ),
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
        pp.MADE,
        pp.NADE,
    ],
)
def test_sizes_of_every_model_are_checked(kind, setting, value):
    with pytest.raises(pp.InputError, match=f"{setting} must be .*, got {value!r}"):
        kind(GRID, rngs=nnx.Rngs(0), **{setting: value})

"""What a config may say, and what is said about one that may not."""

import jax
import numpy as np
import pytest
from flax import nnx

from pixelprior.errors import InputError
from pixelprior.experiment import (
    TASKS,
    build_model,
    build_tokenizer,
    check_config,
    complete,
    open_data,
    with_settings,
)
from pixelprior.experiment.recipes import load_recipe
from pixelprior.grid import Grid
from pixelprior.tokenizers import TOKENIZERS

GRID = Grid(2, 3, 1, 4)
TOKENIZED = Grid(4, 6, 1, 5)
SMALL = {"features": 4, "num_layers": 1, "embedding_features": 4, "head_features": 8}


@pytest.fixture
def config():
    return load_recipe("digits") | {"num_steps": 1000, "warmup_steps": 50}


@pytest.fixture
def tokenizer_config():
    return load_recipe("digits:vqvae")


@pytest.fixture
def prior_config():
    return load_recipe("digits:prior2")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 1, "batchsize": 2}, "unknown keys: batchsize, lr; the keys are task, seed, "),
        ({"seed": "0"}, "config.seed must be of type int, got '0'"),
        ({"seed": -1}, r"config.seed must be in \[0, 2\*\*32\), got -1"),
        ({"seed": 2**32}, "config.seed must be in"),
        ({"batch_size": 16.0}, "config.batch_size must be of type int, got 16.0"),
        (
            {"task": "autoencoder"},
            "task must be one of pixels, tokenizer, prior, compare, got 'autoencoder'",
        ),
        ({"task": None}, "config.task must be one of pixels, tokenizer, prior, compare, got None"),
        # The keys of another task.
        ({"tokenizer": {}}, "the config has unknown keys: tokenizer; the keys are task, seed, "),
        (
            {"task": "tokenizer"},
            "unknown keys: attribute_conditional, class_conditional, distribution_augmentation, ",
        ),
        # True is an int to Python.
        ({"batch_size": True}, "config.batch_size must be of type int, got True"),
        ({"learning_rate": True}, "config.learning_rate must be of type float, got True"),
        ({"flip": 1}, "config.flip must be of type bool, got 1"),
        ({"dataset": None}, "config.dataset must be of type str, got None"),
        ({"model": "pixel_cnn"}, "config.model must be of type dict"),
        ({"image_size": 8}, "config.image_size must be of type tuple, got 8"),
        ({"image_size": (8,)}, r"image_size must be \(height, width\) in pixels, got \(8,\)"),
        ({"image_size": (8, -1)}, r"image_size must be \(height, width\)"),
        ({"image_size": (8, 2.5)}, r"image_size must be \(height, width\)"),
        ({"image_size": (8, True)}, r"image_size must be \(height, width\)"),
        ({"accumulate_steps": -1}, "accumulate_steps must be 0, for an automatic choice, or above"),
        *(
            ({key: 0}, f"config.{key} must be above 0, got 0")
            for key in (
                "batch_size num_steps learning_rate plateau_patience clip_norm "
                "log_every checkpoint_every sample_every num_samples"
            ).split()
        ),
        ({"ema_decay": 1.0}, r"config.ema_decay must be in \[0, 1\), got 1.0"),
        ({"ema_decay": -0.1}, r"config.ema_decay must be in \[0, 1\), got -0.1"),
        ({"crop_padding": -1}, "config.crop_padding must be 0, for no crops, or above, got -1"),
        ({"crop_padding": 1.0}, "config.crop_padding must be of type int, got 1.0"),
        ({"crop_padding": True}, "config.crop_padding must be of type int, got True"),
        *(
            ({f"{name}_jitter": value}, rf"config.{name}_jitter must be {words}, got {value!r}")
            for name, largest in (
                *(("brightness", 1), ("contrast", 1), ("saturation", 1)),
                ("hue", 0.5),
            )
            for value, words in (
                (-0.1, rf"in \[0, {largest}\]"),
                (largest + 0.01, rf"in \[0, {largest}\]"),
                (float("nan"), "a finite number"),
                ("0.1", "of type float"),
                (True, "of type float"),
            )
        ),
        ({"skip_norm": -1.0}, "config.skip_norm must be 0, for never, or above, got -1.0"),
        ({"patience": -1}, "config.patience must be 0, for never, or above, got -1"),
        ({"weight_decay": -0.1}, "config.weight_decay must be 0 or above, got -0.1"),
        *(
            ({key: value}, f"config.{key} must be a finite number, got {value!r:.80}")
            for key in (
                "validation_fraction learning_rate plateau_factor weight_decay clip_norm skip_norm "
                "ema_decay label_dropout"
            ).split()
            for value in (float("nan"), float("inf"), -float("inf"), 10**400)
        ),
        (
            {"label_dropout": 0.1, "class_conditional": False},
            "label_dropout=0.1 hides labels, but this model has none; set .*class_conditional or "
            "attribute_conditional to True",
        ),
        *(
            (
                {"data_dir": "x", "dataset": dataset},
                f"config.data_dir is for .* TensorFlow Datasets, .* is '{dataset}'; leave data_dir",
            )
            for dataset in ("digits", "folder:y", "npz:y")
        ),
        ({"plateau_factor": 1.0}, "config.plateau_factor must be between 0 and 1, got 1.0"),
        ({"plateau_factor": 0}, "config.plateau_factor must be between 0 and 1, got 0"),
        (
            {"optimizer": "adam"},
            "config.optimizer must be one of adamw, adamax, lion, muon, got 'adam'",
        ),
        ({"schedule": "step"}, "config.schedule must be one of constant, .*, plateau, got 'step'"),
        ({"warmup_steps": 1001}, r"from 0 to num_steps \(1000\), got 1001"),
        ({"warmup_steps": -1}, r"from 0 to num_steps \(1000\), got -1"),
    ],
)
def test_a_config_that_is_refused(config, changes, message):
    with pytest.raises(InputError, match=message):
        check_config(config | changes)


@pytest.mark.parametrize("size", [64, (64,), [64], (64, 64)])
def test_one_number_is_a_square(config, size):
    for square in (
        complete(config | {"image_size": size}),
        complete({"task": "compare", "runs": {"a": config | {"image_size": size}}})["runs"]["a"],
        with_settings(config, {"image_size": size}),
    ):
        assert square == complete(config | {"image_size": (64, 64)})
        check_config(square)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokenizer": "vqvae"}, "config.tokenizer must be of type dict, got 'vqvae'"),
        ({"quantizer": None}, "config.quantizer must be of type dict, got None"),
        ({"class_conditional": False}, "unknown keys: class_conditional; the keys are task"),
        ({"image_size": (8,)}, r"image_size must be \(height, width\) in pixels, got \(8,\)"),
        ({"num_steps": 0}, "config.num_steps must be above 0, got 0"),
    ],
)
def test_a_tokenizers_config_that_is_refused(tokenizer_config, changes, message):
    check_config(tokenizer_config)
    with pytest.raises(InputError, match=message):
        check_config(tokenizer_config | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_dropout": 1.0}, r"config.label_dropout must be in \[0, 1\), got 1.0"),
        ({"label_dropout": -0.1}, r"config.label_dropout must be in \[0, 1\), got -0.1"),
        ({"label_dropout": "0.1"}, "config.label_dropout must be of type float, got '0.1'"),
        ({"label_dropout": False}, "config.label_dropout must be of type float, got False"),
        ({"trained_levels": "top"}, "config.trained_levels must be of type tuple, got 'top'"),
        ({"trained_levels": None}, "config.trained_levels must be of type tuple, got None"),
        ({"models": ("top",)}, r"config.models must be of type dict, got \('top',\)"),
        ({"context": 32}, "config.context must be of type dict, got 32"),
        ({"class_conditional": 10}, "config.class_conditional must be of type bool, got 10"),
        # The tokenizer says what the images are.
        ({"dataset": "digits"}, "unknown keys: dataset; the keys are task, seed, data_dir, "),
    ],
)
def test_a_priors_config_that_is_refused(prior_config, changes, message):
    check_config(prior_config)
    check_config(prior_config | {"label_dropout": 0, "trained_levels": ["bottom"]})
    with pytest.raises(InputError, match=message):
        check_config(prior_config | changes)


RECIPES = {
    "pixels": "digits",
    "tokenizer": "digits:vqvae",
    "prior": "digits:prior2",
    "compare": "compare",
}


@pytest.mark.parametrize(
    ("task", "key"), [(task, key) for task, keys in TASKS.items() for key in keys if key != "task"]
)
def test_no_key_has_a_default(task, key):
    config = load_recipe(RECIPES[task])
    assert config["task"] == task
    del config[key]
    with pytest.raises(InputError, match=f"the config has no value for: {key}; the keys are"):
        check_config(config)


def test_a_config_without_a_task(config):
    del config["task"]
    with pytest.raises(InputError, match="config.task must be one of .* got None"):
        check_config(config)


def test_what_stands_for_the_same_is_taken(config):
    check_config(config | {"learning_rate": 1, "image_size": [0, 0], "warmup_steps": 0})


def test_open_data(config):
    dataset, symbols, grid = open_data(config | {"levels": 9})
    assert (grid, symbols.levels, dataset.name) == (Grid(8, 8, 1, 9), 9, "digits")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"levels": 1}, "levels from 2 to 256, got 1"),
        ({"levels": 18}, "at most the 17 levels .* levels=18"),
        ({"binarisation": "static"}, "gives 2 levels, but levels is 17"),
        ({"binarisation": "sometimes"}, "binarisation to be one of none, threshold"),
        ({"validation_fraction": 1.0}, "validation_fraction strictly between 0 and 1"),
        ({"dataset": "folder:nowhere"}, "a folder of images after 'folder:', got 'nowhere'"),
    ],
)
def test_data_that_cannot_be_opened(config, changes, message):
    with pytest.raises(InputError, match=message):
        open_data(config | changes)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "config.model.name must be one of pixel_cnn, gated_pixel_cnn, .*, got None"),
        ({"name": "pixel_rnn"}, "must be one of .* got 'pixel_rnn'"),
        ({"name": "pixel_cnn", "width": 3}, "pixel_cnn has no setting 'width'; .* num_layers"),
        # Not for a config to say.
        ({"name": "pixel_cnn", "num_classes": 3}, "has no setting 'num_classes'"),
        ({"name": "pixel_cnn", "map_features": 3}, "has no setting 'map_features'"),
        ({"name": "pixel_cnn", "rngs": 3}, "has no setting 'rngs'"),
        ({"name": "pixel_cnn", "features": 0}, "features must be an integer of at least 1, got 0"),
        ({"name": "pixel_cnn", "features": 2.5}, "features must be an integer .* got 2.5"),
        ({"name": "pixel_cnn", "num_layers": True}, "num_layers must be an integer .* got True"),
        ({"name": "gated_pixel_cnn", "num_layers": -1}, "num_layers must be an integer"),
        ({"name": "gated_pixel_cnn", "kernel_size": 4}, "kernel_size must be odd"),
        ({"name": "gated_pixel_cnn", "dropout_rate": 1}, r"dropout_rate must be .*\[0, 1\), got 1"),
        ({"name": "gated_pixel_cnn", "dropout_rate": float("nan")}, r"in \[0, 1\), got nan"),
        ({"name": "gated_pixel_cnn", "dropout_rate": "x"}, "dropout_rate must be a number"),
    ],
)
def test_models_that_cannot_be_built(settings, message):
    with pytest.raises(InputError, match=message):
        build_model(settings, GRID, num_classes=0, seed=0)


TOKENIZER = {"name": "vqvae", "strides": (2,), "features": 4, "residual_features": 4}
VECTOR = {"name": "vector", "features": 4, "codebook_size": 6}


def traced_tokenizer(tokenizer=TOKENIZER, quantizer=VECTOR, grid=TOKENIZED):
    return nnx.eval_shape(lambda: build_tokenizer(tokenizer, quantizer, grid, seed=0))


@pytest.mark.parametrize(
    ("tokenizer", "quantizer"),
    [
        ({}, {}),
        # As a config comes back from its JSON.
        ({"strides": [2]}, {"decay": 0, "cosine": True}),
        ({"name": "vqvae2", "strides": (2, 1)}, {"num_codebooks": 2, "learning": "loss"}),
    ],
)
def test_tokenizers_that_can_be_built(tokenizer, quantizer):
    model = traced_tokenizer(TOKENIZER | tokenizer, VECTOR | quantizer)
    assert type(model) is TOKENIZERS[(TOKENIZER | tokenizer)["name"]]
    assert {grid.levels for grid in model.code_grids} == {6}
    assert {grid.channels for grid in model.code_grids} == {quantizer.get("num_codebooks", 1)}


@pytest.mark.parametrize("levels", [(3, 2), [3, 2]])
def test_a_tokenizer_with_finite_scalars(levels):
    model = traced_tokenizer(quantizer={"name": "finite_scalar", "levels": levels})
    assert model.code_grids == (Grid(2, 3, 1, 6),)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "vae"}, "config.tokenizer.name must be one of vqvae, vqvae2, got 'vae'"),
        ({"name": None}, "config.tokenizer.name must be one of .* got None"),
        ({"depth": 3}, "has no setting 'depth'; config.tokenizer may set strides, features, resid"),
        # Not for a config to say.
        ({"grid": 3}, "has no setting 'grid'"),
        ({"quantizer": "vector"}, "has no setting 'quantizer'"),
        ({"rngs": 3}, "has no setting 'rngs'"),
        ({"features": 0}, "config.tokenizer.features must be an integer of at least 1, got 0"),
        ({"features": 2.5}, "config.tokenizer.features must be an integer .* got 2.5"),
        ({"num_residual_blocks": True}, "num_residual_blocks must be an integer .* got True"),
        ({"strides": 4}, "config.tokenizer.strides must be a tuple, got 4"),
        ({"strides": "42"}, "config.tokenizer.strides must be a tuple, got '42'"),
        ({"strides": (0,)}, "strides must be one or more integers of at least 1"),
        ({"strides": (4,)}, "the images are 4 x 6; 4 x 4 or 4 x 8 would fit"),
        ({"name": "vqvae2"}, r"at least two levels, got strides=\(2,\)"),
        ({"likelihood": 3}, "config.tokenizer.likelihood must be a string, got 3"),
        ({"likelihood": "poisson"}, "likelihood must be one of gaussian, disc.* got 'poisson'"),
    ],
)
def test_tokenizers_that_cannot_be_built(settings, message):
    with pytest.raises(InputError, match=message):
        traced_tokenizer(TOKENIZER | settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "config.quantizer.name must be one of vector, finite_scalar, got None"),
        ({"name": "product"}, "config.quantizer.name must be one of .* got 'product'"),
        ({"name": "vector"}, "config.quantizer must say features of vector"),
        ({"name": "finite_scalar"}, "config.quantizer must say levels of finite_scalar"),
        (VECTOR | {"levels": (3,)}, "vector has no setting 'levels'; config.quantizer may set fea"),
        (VECTOR | {"rngs": 0}, "vector has no setting 'rngs'"),
        (VECTOR | {"features": 0}, "features must be an integer of at least 1, got 0"),
        (VECTOR | {"features": 2.5}, "config.quantizer.features must be integers, got 2.5"),
        (VECTOR | {"codebook_size": "6"}, "codebook_size must be an integer .* got '6'"),
        (VECTOR | {"codebook_size": 0}, "codebook_size must be an integer of at least 1, got 0"),
        (VECTOR | {"decay": "fast"}, "config.quantizer.decay must be a finite number, got 'fast'"),
        (VECTOR | {"decay": True}, "config.quantizer.decay must be a finite number, got True"),
        (VECTOR | {"epsilon": float("nan")}, "quantizer.epsilon must be a finite number, got nan"),
        (VECTOR | {"commitment": float("inf")}, "commitment must be a finite number, got inf"),
        (VECTOR | {"decay": 1.0}, r"decay must be a number in \[0, 1\), got 1.0"),
        (VECTOR | {"cosine": 1}, "config.quantizer.cosine must be True or False, got 1"),
        (VECTOR | {"learning": "slow"}, "learning must be one of .* got 'slow'"),
        (VECTOR | {"num_codebooks": 3}, "features must be a multiple of num_codebooks=3, got 4"),
        ({"name": "finite_scalar", "levels": "33"}, "config.quantizer.levels must be integers"),
        ({"name": "finite_scalar", "levels": (1,)}, "levels must be integers of at least 2"),
    ],
)
def test_quantizers_that_cannot_be_built(settings, message):
    with pytest.raises(InputError, match=message):
        traced_tokenizer(quantizer=settings)


def test_weights_are_a_function_of_the_seed():
    def weights(seed):
        model = build_model({"name": "pixel_cnn"} | SMALL, GRID, num_classes=2, seed=seed)
        assert model.grid == GRID and model.context_shape.num_classes == 2
        return jax.tree.leaves(nnx.state(model))

    zero, again, one = weights(0), weights(0), weights(1)
    for a, b in zip(zero, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((np.asarray(a) != np.asarray(b)).any() for a, b in zip(zero, one, strict=True))

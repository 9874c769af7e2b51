"""What a config may say, and what is said about one that may not."""

import runpy
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from pixelprior.errors import InputError
from pixelprior.experiment import TASKS, build_model, check_config, open_data
from pixelprior.grid import Grid
from pixelprior.models import MODELS

CONFIGS = Path(__file__).parents[1] / "configs"
GRID = Grid(2, 3, 1, 4)
SMALL = {"features": 4, "num_layers": 1, "embedding_features": 4, "head_features": 8}


def load(path):
    return runpy.run_path(str(path))["get_config"]().to_dict()


@pytest.fixture
def config():
    return load(CONFIGS / "digits.py") | {"num_steps": 1000, "warmup_steps": 50}


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.py")), ids=lambda path: path.stem)
def test_every_config_that_comes_with_the_library(path):
    config = load(path)
    check_config(config)
    model = nnx.eval_shape(
        lambda: build_model(
            config["model"], Grid(8, 8, 1, config["levels"]), num_classes=0, seed=config["seed"]
        )
    )
    assert type(model) is MODELS[config["model"]["name"]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 1, "batchsize": 2}, "unknown keys: batchsize, lr; the keys are seed, "),
        ({"seed": "0"}, "config.seed must be of type int, got '0'"),
        ({"seed": -1}, r"config.seed must be in \[0, 2\*\*32\), got -1"),
        ({"seed": 2**32}, "config.seed must be in"),
        ({"batch_size": 16.0}, "config.batch_size must be of type int, got 16.0"),
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
        *(
            ({key: 0}, f"config.{key} must be above 0, got 0")
            for key in (
                "batch_size num_steps learning_rate clip_norm log_every checkpoint_every "
                "sample_every num_samples"
            ).split()
        ),
        ({"ema_decay": 1.0}, r"config.ema_decay must be in \[0, 1\), got 1.0"),
        ({"ema_decay": -0.1}, r"config.ema_decay must be in \[0, 1\), got -0.1"),
        ({"warmup_steps": 1001}, r"from 0 to num_steps \(1000\), got 1001"),
        ({"warmup_steps": -1}, r"from 0 to num_steps \(1000\), got -1"),
    ],
)
def test_a_config_that_is_refused(config, changes, message):
    with pytest.raises(InputError, match=message):
        check_config(config | changes)


@pytest.mark.parametrize("key", sorted(set(TASKS["pixels"]) - {"task"}))
def test_no_key_has_a_default(config, key):
    del config[key]
    with pytest.raises(InputError, match=f"the config has no value for: {key}; the keys are"):
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
        ({}, "config.model.name must be one of pixel_cnn, gated_pixel_cnn, got None"),
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
        ({"name": "gated_pixel_cnn", "dropout_rate": "x"}, "dropout_rate must be a number"),
    ],
)
def test_models_that_cannot_be_built(settings, message):
    with pytest.raises(InputError, match=message):
        build_model(settings, GRID, num_classes=0, seed=0)


def test_weights_are_a_function_of_the_seed():
    def weights(seed):
        model = build_model({"name": "pixel_cnn"} | SMALL, GRID, num_classes=2, seed=seed)
        assert model.grid == GRID and model.context_encoder.num_classes == 2
        return jax.tree.leaves(nnx.state(model))

    zero, again, one = weights(0), weights(0), weights(1)
    for a, b in zip(zero, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((np.asarray(a) != np.asarray(b)).any() for a, b in zip(zero, one, strict=True))

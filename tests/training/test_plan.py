"""What a plan says, against what is then so."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from pixelprior.errors import InputError
from pixelprior.runs.train import plan_run
from pixelprior.runs.train_list import plan_list
from pixelprior.training.flops import product_flops
from pixelprior.training.metrics import read_metrics


def test_a_plan_is_what_a_run_records(config, finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = plan_run(config)
    first = read_metrics(finished / "metrics.jsonl")[0]
    assert plan.num_parameters == first["num_parameters"]
    assert plan.step_bytes == first["step_memory_bytes"]
    assert plan.state_bytes == first["state_memory_bytes"]
    # Weights, their average and Adam's two moments, the weights' size each; and three counts.
    assert plan.state_bytes == 4 * 4 * plan.num_parameters + 3 * 4
    words = plan.words()
    assert "digits, 17 levels" in words and f"{plan.num_parameters:,}" in words
    assert not list(tmp_path.iterdir())


def test_operations_are_those_of_the_images(config):
    one, four = (plan_run(config | {"batch_size": size}) for size in (16, 64))
    assert one.flops_per_image == four.flops_per_image
    # Each number of each kernel is in three products, one forward and two backward, at each of 64
    # positions. Biases and tables, which are few, are in none.
    assert 0.5 < one.flops_per_image / (3 * 2 * 64 * one.num_parameters) < 1


@pytest.mark.slow
def test_a_batch_in_parts_is_planned_with_less_memory(config):
    config["model"]["features"] = 16
    whole, parts = (plan_run(config | {"batch_size": 64, "accumulate_steps": n}) for n in (1, 8))
    assert parts.step_bytes < 0.5 * whole.step_bytes
    assert parts.flops_per_image == whole.flops_per_image


@pytest.mark.slow
def test_plans_of_a_list(config):
    runs = {"wide": config | {"model": config["model"] | {"features": 8}}, "narrow": config}
    plans = dict(plan_list({"task": "compare", "runs": runs}, only=["narrow", "wide"]))
    assert list(plans) == ["wide", "narrow"]
    assert plans["wide"].num_parameters > plans["narrow"].num_parameters
    with pytest.raises(InputError, match="--only names runs of the config"):
        list(plan_list({"task": "compare", "runs": runs}, only=["deep"]))


def test_a_plan_of_what_cannot_be_trained(config):
    with pytest.raises(InputError, match="config.optimizer must be one of"):
        plan_run(config | {"optimizer": "sgd"})
    with pytest.raises(InputError, match="--tokenizer is for training a prior"):
        plan_run(config, tokenizer="runs/vqvae")


def test_products_and_convolutions_are_counted_as_often_as_they_run():
    def products(x, y):
        return lax.scan(lambda x, _: (x @ y, None), x, None, length=5)[0]

    x = jnp.ones((2, 3))
    assert product_flops(products, x, jnp.ones((3, 3))) == 5 * 2 * (2 * 3 * 3)

    def convolution(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    # 3 images of 4x4 numbers in 7 channels, each of 3x5 taps in 2 channels.
    numbers = jax.jit(convolution), jnp.ones((3, 8, 8, 2)), jnp.ones((3, 5, 2, 7))
    assert product_flops(*numbers) == 2 * (3 * 4 * 4 * 7) * (3 * 5 * 2)

"""What a run costs, measured by one command for all: against what is known of it otherwise."""

import json

import jax
import pytest
from flax import nnx

from pixelprior.cli.cost import measure_cost
from pixelprior.runs.load import load_trained
from pixelprior.runs.train import plan_run
from pixelprior.training.run_folder import RunFolder
from tests.cli.conftest import copied


@pytest.mark.slow
def test_a_model_of_pixels(digits, tmp_path, script):
    workdir, file = copied(digits, tmp_path), tmp_path / "cost.json"
    result = script("evaluate", f"--workdir={workdir}", "--cost", f"--json={file}")
    assert result.status == 0, result.errors
    cost = json.loads(file.read_text())
    assert cost == RunFolder(workdir).kept_evaluation("cost")
    plan = plan_run(load_trained(workdir).config, workdir)
    assert cost["num_parameters"] == plan.num_parameters
    assert cost["flops_per_image"] == plan.flops_per_image
    assert cost["state_bytes"] == plan.state_bytes and cost["step_bytes"] == plan.step_bytes
    assert cost["batch_size"] == 16
    for key in ("training_images_per_second", "sampling_images_per_second"):
        assert cost[key] > 1
    # One for each of 64 pixels, or fewer where they are guessed.
    assert 1 <= cost["sequential_steps_per_image"] <= 64
    assert 5e7 < cost["peak_host_bytes"] < 2e10
    assert f"{cost['num_parameters']:,}" in result.output


@pytest.mark.slow
def test_a_tokenizer(vqvae2, tmp_path):
    tokenizer = measure_cost(copied(vqvae2, tmp_path / "a"))
    assert tokenizer["reconstruction_images_per_second"] > 1
    assert "sampling_images_per_second" not in tokenizer
    weights = nnx.state(load_trained(vqvae2).model, nnx.Param)
    assert tokenizer["num_parameters"] == sum(leaf.size for leaf in jax.tree.leaves(weights))


@pytest.mark.release
@pytest.mark.slow
def test_priors_that_trained_some_levels(top_prior, prior2, tmp_path):
    # The one has nothing to sample from yet; the other took a level from it.
    top = measure_cost(copied(top_prior, tmp_path / "a"))
    assert top["training_images_per_second"] > 1 and "sampling_images_per_second" not in top
    bottom = measure_cost(copied(prior2, tmp_path / "b"))
    assert bottom["training_images_per_second"] > 1 and bottom["sampling_images_per_second"] > 1
    sizes = [grid.height * grid.width for grid in load_trained(prior2).model.grids]
    assert 1 <= bottom["sequential_steps_per_image"] <= sum(sizes)


@pytest.mark.slow
def test_a_prior_of_one_level(prior, tmp_path):
    cost = measure_cost(copied(prior, tmp_path))
    grid = load_trained(prior).model.grids[0]
    assert 1 <= cost["sequential_steps_per_image"] <= grid.height * grid.width
    assert cost["sampling_images_per_second"] > 1

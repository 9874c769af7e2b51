"""Every config file says everything, and describes a model that can be built."""

import importlib.util
import inspect
from pathlib import Path

import pytest

from pixelprior.experiment import check_config
from pixelprior.models import MODELS

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.py"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_has_every_key_and_every_setting_of_its_model(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config().to_dict()

    check_config(config)
    arguments = set(inspect.signature(MODELS[config["model"]["name"]].__init__).parameters)
    given_elsewhere = {"self", "grid", "rngs", "num_classes", "map_features"}
    assert set(config["model"]) - {"name"} == arguments - given_elsewhere


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_opens_with_the_command_that_runs_it(path):
    command = f"python train.py --config=configs/{path.name}"
    assert any(line.strip().startswith(command) for line in path.read_text().splitlines()[:6])
